#include "sched/scheduler.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sched/pipeline.h"
#include "sched/placement.h"
#include "sched/prefix_cache.h"
#include "sched/sequences.h"

namespace shoal::sched {
namespace {

constexpr std::uint32_t kFailedEpochsBeforeReload = 2;

Limits workable(Limits limits) {
  limits.rows_per_step_max = std::clamp<std::uint32_t>(limits.rows_per_step_max, 1, kStepRowsMax);
  limits.prompt_rows_per_step_max = std::max<std::uint32_t>(limits.prompt_rows_per_step_max, 1);
  limits.settings.sequences_max =
      std::clamp<std::uint32_t>(limits.settings.sequences_max, 1, static_cast<std::uint32_t>(kFreesPerStepMax));
  limits.step_failures_max = std::max<std::uint32_t>(limits.step_failures_max, 1);
  limits.stage_tries_max = std::max<std::uint32_t>(limits.stage_tries_max, 1);
  return limits;
}

}  // namespace

// What the KV holds of a prompt's beginning.
struct Beginning {
  SequenceId id;
  std::uint32_t length = 0;
  const Kept* kept = nullptr;  // nullptr: of a live sequence
};

struct Scheduler::State {
  State(plan::ModelShape model, const Limits& wanted)
      : limits(workable(wanted)), placement(std::move(model), limits), sequences(limits), pipeline(limits) {}

  void handle(const NodeJoined& event, Time now);
  void handle(const NodeLost& event, Time now);
  void handle(const NodePaused& event, Time now);
  void handle(const NodeShare& event, Time now);
  void handle(const StageReady& event, Time now);
  void handle(const StageFailed& event, Time now);
  void handle(const ShardFetched& event, Time now);
  void handle(const StepDone& event, Time now);
  void handle(const StepFailed& event, Time now);
  void handle(const SequenceArrived& event, Time now);
  void handle(const TokenSampled& event, Time now);
  void handle(const SequenceCancelled& event, Time now);
  void handle(const Drafted& event, Time now);
  void handle(const Timer& event, Time now);

  void finish(Sequence& sequence, Emit last);
  void fail_step(StepId step, const Error& error, bool kv_is_right, Time now);
  void fail_those_that_waited(Time now);
  void follow_placement();
  bool admit(Sequence& sequence);
  std::optional<Beginning> beginning_of(const Sequence& sequence) const;
  bool make_room(const Sequence& sequence, const Kept* taken_over, const Kept* spared);
  void send_steps(Time now);
  void tell_draft_model(Sequence& sequence);
  void set_timer();
  std::optional<Time> next_due() const;
  Time waits_until(const Sequence& sequence) const {
    return std::max(sequence.arrived, placement.none_since()) + limits.plan_wait_max;
  }

  const Limits limits;
  Placement placement;
  Sequences sequences;
  Pipeline pipeline;
  PrefixCache kept;
  std::uint64_t cached_tokens = 0;
  std::vector<Action> actions;  // of the event at hand
  PlanState state_seen = PlanState::kNone;
  Epoch epoch_seen;
  std::uint32_t failed_epochs = 0;  // in a row, without a StepDone
  std::optional<Time> timer;
};

void Scheduler::State::handle(const NodeJoined& event, Time now) {
  placement.join(event, pipeline.kv_can_be_freed(), now, actions);
}

void Scheduler::State::handle(const NodeLost& event, Time now) {
  placement.lose(event.node, pipeline.kv_can_be_freed(), now, actions);
}

void Scheduler::State::handle(const NodePaused& event, Time now) {
  placement.pause(event.node, event.paused, now);
}

void Scheduler::State::handle(const NodeShare& event, Time now) {
  placement.set_share(event.node, event.permille, now);
}

void Scheduler::State::handle(const StageReady& event, Time) {
  placement.ready(event.stage);
}

void Scheduler::State::handle(const StageFailed& event, Time now) {
  placement.failed(event, pipeline.kv_can_be_freed(), now, actions);
}

void Scheduler::State::handle(const ShardFetched& event, Time) {
  placement.fetched(event.stage);
}

void Scheduler::State::handle(const StepDone& event, Time now) {
  if (pipeline.refilling(event.epoch, event.step)) return pipeline.refilled(event.step, false, sequences, now);
  if (!pipeline.under_way(event.epoch, event.step)) return;
  // Steps do not overtake each other: an older one that is not back is lost, and with it rows that later ones stand on.
  if (const StepId lost = pipeline.oldest_step(); lost != event.step) {
    return fail_step(
        lost, {ErrorCode::kUnavailable, fmt::format("step {} was lost: a later one came back", lost.value)}, true, now);
  }
  failed_epochs = 0;
  placement.measured(event.stages, pipeline.rows_of(event.step), now);
  pipeline.done(event, sequences, now);
}

void Scheduler::State::handle(const StepFailed& event, Time now) {
  const bool refilling = pipeline.refilling(event.epoch, event.step);
  if (!refilling && !pipeline.under_way(event.epoch, event.step)) return;
  if (refilling && event.code == ErrorCode::kNotFound) return pipeline.refilled(event.step, true, sequences, now);
  fail_step(event.step, {event.code, event.message}, event.code == ErrorCode::kUnavailable, now);
}

// Only the sequences in the step are blamed. The others start again too, since the epoch is over, but at no cost to
// them.
void Scheduler::State::fail_step(StepId step, const Error& error, bool kv_is_right, Time now) {
  const std::vector<std::uint64_t> requests = pipeline.requests_of(step);
  for (std::uint64_t request : requests) {
    Sequence* sequence = sequences.find(request);
    if (!sequence || ++sequence->step_failures < limits.step_failures_max) continue;
    finish(*sequence, {.kind = EmitKind::kError, .error = error});
  }
  const bool reload = ++failed_epochs >= kFailedEpochsBeforeReload || !pipeline.kv_can_be_freed();
  if (reload) failed_epochs = 0;
  if (!kv_is_right) pipeline.distrust();
  placement.restart(reload, now, actions);
}

void Scheduler::State::handle(const SequenceArrived& event, Time now) {
  auto added = sequences.add(event, now);
  if (!added.ok()) {
    actions.emplace_back(Emit{.request = event.request, .kind = EmitKind::kError, .error = std::move(added).error()});
    return;
  }
  if (!*added) return;
  send_steps(now);  // admits it, if there is room
  if (sequences.find(event.request)->live || sequences.waiting().size() <= limits.waiting_sequences_max) return;
  finish(**added,
         {.kind = EmitKind::kError,
          .error = {ErrorCode::kResourceExhausted,
                    fmt::format("{} requests are waiting already; try again later", limits.waiting_sequences_max)}});
}

void Scheduler::State::handle(const TokenSampled& event, Time) {
  Sequence* sequence = sequences.find(event.request);
  if (!sequence || event.epoch != pipeline.epoch() || !sequence->sampling) return;
  const Flight& flight = sequence->flights.front();
  const auto& drafts = sequence->drafts;
  if (flight.step != event.step || event.tokens.empty() || event.tokens.size() > flight.drafts + 1 ||
      !std::equal(event.tokens.begin(), event.tokens.end() - 1, drafts.begin())) {
    return;
  }
  pipeline.sampled(*sequence, event.tokens);
  sequence->step_failures = 0;
  for (std::size_t i = 0; i + (event.ends ? 1 : 0) < event.tokens.size(); ++i) {
    sequence->tokens.push_back(event.tokens[i]);
    actions.emplace_back(Emit{.request = event.request, .kind = EmitKind::kToken, .token = event.tokens[i]});
  }
  if (event.ends) return finish(*sequence, {.kind = EmitKind::kEnd, .reason = FinishReason::kStop});
  if (sequence->emitted() >= sequence->tokens_max) {
    return finish(*sequence, {.kind = EmitKind::kEnd, .reason = FinishReason::kLength});
  }
  pipeline.token(*sequence);
}

void Scheduler::State::handle(const SequenceCancelled& event, Time) {
  Sequence* sequence = sequences.find(event.request);
  if (sequence) finish(*sequence, {.kind = EmitKind::kEnd, .reason = FinishReason::kCancelled});
}

void Scheduler::State::handle(const Drafted& event, Time) {
  pipeline.drafted(event, sequences);
}

void Scheduler::State::handle(const Timer&, Time now) {
  timer.reset();
  pipeline.give_up_drafts(now);
  placement.timer(pipeline.kv_can_be_freed(), now, actions);
  follow_placement();
  const auto deadline = pipeline.deadline();
  if (placement.state() == PlanState::kServing && deadline && now >= deadline->at) {
    fail_step(deadline->step,
              {ErrorCode::kDeadlineExceeded,
               fmt::format("no step came back for {} s; a stage or a link between stages is stuck",
                           std::chrono::duration_cast<std::chrono::seconds>(limits.step_wait_max).count())},
              true, now);
  }
  if (placement.state() == PlanState::kNone) fail_those_that_waited(now);
}

void Scheduler::State::fail_those_that_waited(Time now) {
  Error why = placement.why_none();
  why.code = ErrorCode::kUnavailable;  // nothing of the request's, whatever the planner calls it
  for (Sequence* oldest = sequences.oldest(); oldest && waits_until(*oldest) <= now; oldest = sequences.oldest()) {
    finish(*oldest, {.kind = EmitKind::kError, .error = why});
  }
}

void Scheduler::State::finish(Sequence& sequence, Emit last) {
  last.request = sequence.request;
  last.cached_tokens = sequence.cached_tokens;
  actions.emplace_back(std::move(last));
  if (sequence.live) pipeline.remove(sequence);
  const std::size_t known = std::min<std::size_t>(sequence.sent, sequence.tokens.size());
  if (sequence.refilling) {
    // Not all stages have its KV: the pipeline frees it.
  } else if (sequence.id && known > 0 && limits.prefix_cache) {
    sequence.tokens.resize(known);
    kept.keep({sequence.id, std::move(sequence.tokens), sequence.kv_rows});
  } else if (sequence.id) {
    pipeline.free(sequence.id);
  }
  sequences.remove(sequence);
}

// When the placement has a new plan or has lost its plan, what was under way is void.
void Scheduler::State::follow_placement() {
  const bool is_new = placement.epoch() != epoch_seen;
  const bool is_lost = placement.state() == PlanState::kNone && state_seen != PlanState::kNone;
  if (is_new || is_lost) {
    pipeline.close(sequences.live());
    kept.clear();
  }
  if (is_new) pipeline.open(placement.plan(), placement.keeps_kv(), sequences.live());
  epoch_seen = placement.epoch();
  state_seen = placement.state();
}

// Its last token is not looked for: that row gives the first logits.
std::optional<Beginning> Scheduler::State::beginning_of(const Sequence& sequence) const {
  if (!limits.prefix_cache) return std::nullopt;
  const std::span prompt(sequence.tokens.data(), sequence.tokens.size() - 1);
  Beginning best;
  if (const Kept* found = kept.longest(prompt)) best = {found->id, common_beginning(found->tokens, prompt), found};
  for (const auto& [arrival, live] : sequences.live()) {
    if (live->refilling) continue;
    const std::span sent(live->tokens.data(), std::min<std::size_t>(live->sent, live->tokens.size()));
    const std::uint32_t length = common_beginning(sent, prompt);
    if (length > best.length) best = {live->id, length, nullptr};
  }
  return best.length > 0 ? std::optional(best) : std::nullopt;
}

// Frees what is kept, least recently used first, until there is room, but not what is taken over or spared. false:
// there is no room; nothing was freed.
bool Scheduler::State::make_room(const Sequence& sequence, const Kept* taken_over, const Kept* spared) {
  const Refill::Leaving leaving = pipeline.leaving();
  std::size_t others = kept.size() + leaving.sequences - (taken_over ? 1 : 0);
  std::uint64_t cells = kept.cells() + leaving.cells - (taken_over ? taken_over->rows : 0);
  std::vector<SequenceId> in_the_way;
  for (auto next = kept.all().rbegin(); next != kept.all().rend(); ++next) {
    if (sequences.fits(sequence, others, cells)) break;
    if (&*next == taken_over || &*next == spared || pipeline.is_forked(next->id)) continue;
    in_the_way.push_back(next->id);
    --others;
    cells -= next->rows;
  }
  if (!sequences.fits(sequence, others, cells)) return false;
  for (const SequenceId id : in_the_way) {
    kept.take(id);
    pipeline.free(id);
  }
  return true;
}

// Makes room for a waiting sequence and decides where its KV begins. A kept sequence is taken over when little of it is
// lost by that; else its beginning is copied where there is room for both. Where there is not, it would have to go
// anyway and is taken over too, unless little is saved by that. false: the sequence has to wait.
bool Scheduler::State::admit(Sequence& sequence) {
  const auto beginning = beginning_of(sequence);
  if (!beginning) return make_room(sequence, nullptr, nullptr);
  const std::uint32_t length = beginning->length;
  const Kept* source = beginning->kept;
  const std::size_t lost = source ? source->tokens.size() - length : 0;  // drafts in vain behind them are no loss
  // What is taken over holds its cells until its first step truncates it.
  const std::uint32_t needed = sequence.cells_reserved;
  const auto take_over = [&] {
    sequence.cells_reserved = std::max(needed, source->rows);
    if (!make_room(sequence, source, nullptr)) {
      sequence.cells_reserved = needed;
      return false;
    }
    pipeline.take_over(sequence, kept.take(source->id), length);
    return true;
  };
  if (source && lost <= length / 4) {
    if (!take_over()) return false;
  } else if (length >= kForkTokensMin && pipeline.can_fork() && make_room(sequence, nullptr, source)) {
    if (source) kept.used(source->id);
    pipeline.fork(sequence, beginning->id, length);
  } else if (!source || (lost > length && length < kForkTokensMin) || !take_over()) {
    return make_room(sequence, nullptr, nullptr);
  }
  sequence.cached_tokens = length;
  return true;
}

void Scheduler::State::send_steps(Time now) {
  if (placement.state() != PlanState::kServing) return;
  for (Sequence* next = sequences.next_waiting(); next && admit(*next); next = sequences.next_waiting()) {
    sequences.admit(*next);
    pipeline.add(*next);
    cached_tokens += next->cached_tokens;
    if (limits.draft_model) tell_draft_model(*next);
  }
  while (auto chunk = pipeline.refill(now)) actions.push_back(std::move(*chunk));
  SendStep step;
  const auto ask = [&] {
    if (auto texts = pipeline.ask_drafts(now)) actions.emplace_back(std::move(*texts));
  };
  for (ask(); pipeline.form(now, step); ask()) actions.emplace_back(std::move(step));
}

// Its prompt, to be read while the pipeline computes it.
void Scheduler::State::tell_draft_model(Sequence& sequence) {
  if (sequence.told > 0) return;
  actions.emplace_back(AskDrafts{0, {{sequence.request, 0, sequence.tokens, 0}}});
  sequence.told = static_cast<std::uint32_t>(sequence.tokens.size());
}

std::optional<Time> Scheduler::State::next_due() const {
  std::optional<Time> due = placement.next_due();
  const auto consider = [&](std::optional<Time> at) {
    if (at) due = due ? std::min(*due, *at) : at;
  };
  if (placement.state() == PlanState::kServing) {
    if (const auto deadline = pipeline.deadline()) consider(deadline->at);
    consider(pipeline.drafts_deadline());
  }
  if (placement.state() == PlanState::kNone) {
    if (const Sequence* oldest = sequences.oldest()) consider(waits_until(*oldest));
  }
  return due;
}

// A timer that comes too early costs less than one that is put off with every step.
void Scheduler::State::set_timer() {
  const auto due = next_due();
  if (!due || (timer && *timer <= *due)) return;
  timer = due;
  actions.emplace_back(SetTimer{due});
}

Scheduler::Scheduler(plan::ModelShape model, const Limits& limits)
    : state_(std::make_unique<State>(std::move(model), limits)) {}
Scheduler::~Scheduler() = default;

std::vector<Action> Scheduler::on(const Event& event, Time now) {
  State& state = *state_;
  state.actions.clear();
  std::visit([&](const auto& known) { state.handle(known, now); }, event);
  state.placement.hold_kernel_family(!state.sequences.live().empty(), now);
  if (state.placement.may_move(now)) {
    state.placement.move(state.pipeline.kv_can_be_freed(), state.pipeline.refill_time(state.sequences.live()), now,
                         state.actions);
  }
  state.placement.keep_shards(state.actions);
  state.follow_placement();
  state.send_steps(now);
  state.set_timer();
  return std::move(state.actions);
}

Snapshot Scheduler::snapshot() const {
  const State& state = *state_;
  Snapshot snapshot;
  snapshot.state = state.placement.state();
  if (snapshot.state == PlanState::kNone) {
    snapshot.why_none = state.placement.why_none().message;
  } else {
    snapshot.plan = state.placement.plan();
  }
  snapshot.move = state.placement.move_text();
  snapshot.moves = state.placement.moves();
  snapshot.why_not_moved = state.placement.why_not_moved();
  snapshot.sequences_live = static_cast<std::uint32_t>(state.sequences.live().size());
  snapshot.sequences_waiting = static_cast<std::uint32_t>(state.sequences.waiting().size());
  snapshot.steps_in_flight = static_cast<std::uint32_t>(state.pipeline.steps_in_flight());
  snapshot.drafts_sent = state.pipeline.drafts_sent();
  snapshot.drafts_accepted = state.pipeline.drafts_accepted();
  snapshot.model_drafts_sent = state.pipeline.model_drafts_sent();
  snapshot.model_drafts_accepted = state.pipeline.model_drafts_accepted();
  snapshot.cached_tokens = state.cached_tokens;
  snapshot.sequences_refilling = static_cast<std::uint32_t>(state.pipeline.sequences_refilling());
  snapshot.sequences_resumed = state.pipeline.sequences_resumed();
  snapshot.sequences_restarted = state.pipeline.sequences_restarted();
  snapshot.kv_tokens_reserved = state.sequences.cells_reserved();
  return snapshot;
}

}  // namespace shoal::sched
