#include "sched/lane.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

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

Lane::Lane(plan::ModelShape model, const Limits& limits, std::uint32_t number, Numbers& numbers)
    : limits_(workable(limits)),
      number_(number),
      placement_(std::move(model), limits_, number, numbers),
      sequences_(limits_, numbers),
      pipeline_(limits_, numbers) {}

void Lane::handle(const NodeJoined& event, Time now) {
  placement_.join(event, pipeline_.kv_can_be_freed(), now, actions_);
}

void Lane::handle(const NodeLost& event, Time now) {
  placement_.lose(event.node, pipeline_.kv_can_be_freed(), now, actions_);
}

void Lane::handle(const NodePaused& event, Time now) {
  placement_.pause(event.node, event.paused, now);
}

void Lane::handle(const NodeShare& event, Time now) {
  placement_.set_share(event.node, event.permille, now);
}

void Lane::handle(const StageReady& event, Time) {
  placement_.ready(event.stage);
}

void Lane::handle(const StageFailed& event, Time now) {
  placement_.failed(event, pipeline_.kv_can_be_freed(), now, actions_);
}

void Lane::handle(const ShardFetched& event, Time) {
  placement_.fetched(event.stage);
}

void Lane::handle(const StepDone& event, Time now) {
  if (pipeline_.refilling(event.epoch, event.step)) return pipeline_.refilled(event.step, false, sequences_, now);
  if (!pipeline_.under_way(event.epoch, event.step)) return;
  // Steps do not overtake each other: an older one that is not back is lost, and with it rows that later ones stand on.
  if (const StepId lost = pipeline_.oldest_step(); lost != event.step) {
    return fail_step(
        lost, {ErrorCode::kUnavailable, fmt::format("step {} was lost: a later one came back", lost.value)}, true, now);
  }
  failed_epochs_ = 0;
  placement_.measured(event.stages, pipeline_.rows_of(event.step), now);
  pipeline_.done(event, sequences_, now);
}

void Lane::handle(const StepFailed& event, Time now) {
  const bool refilling = pipeline_.refilling(event.epoch, event.step);
  if (!refilling && !pipeline_.under_way(event.epoch, event.step)) return;
  if (refilling && event.code == ErrorCode::kNotFound) return pipeline_.refilled(event.step, true, sequences_, now);
  fail_step(event.step, {event.code, event.message}, event.code == ErrorCode::kUnavailable, now);
}

// Only the sequences in the step are blamed. The others start again too, since the epoch is over, but at no cost to
// them.
void Lane::fail_step(StepId step, const Error& error, bool kv_is_right, Time now) {
  const std::vector<std::uint64_t> requests = pipeline_.requests_of(step);
  for (std::uint64_t request : requests) {
    Sequence* sequence = sequences_.find(request);
    if (!sequence || ++sequence->step_failures < limits_.step_failures_max) continue;
    finish(*sequence, {.kind = EmitKind::kError, .error = error});
  }
  const bool reload = ++failed_epochs_ >= kFailedEpochsBeforeReload || !pipeline_.kv_can_be_freed();
  if (reload) failed_epochs_ = 0;
  if (!kv_is_right) pipeline_.distrust();
  placement_.restart(reload, now, actions_);
}

void Lane::handle(const SequenceArrived& event, Time now) {
  auto added = sequences_.add(event, now);
  if (!added.ok()) {
    actions_.emplace_back(Emit{.request = event.request, .kind = EmitKind::kError, .error = std::move(added).error()});
    return;
  }
  if (!*added) return;
  send_steps(now);  // admits it, if there is room
  if (sequences_.find(event.request)->live || sequences_.waiting().size() <= limits_.waiting_sequences_max) return;
  refuse(**added);
}

void Lane::refuse(Sequence& sequence) {
  finish(sequence,
         {.kind = EmitKind::kError,
          .error = {ErrorCode::kResourceExhausted,
                    fmt::format("{} requests are waiting already; try again later", sequences_.waiting().size() - 1)}});
}

std::vector<Action> Lane::refuse(std::uint64_t request, Time now) {
  if (Sequence* sequence = sequences_.find(request); sequence != nullptr && !sequence->live) refuse(*sequence);
  return settle(now);
}

void Lane::handle(const TokenSampled& event, Time) {
  Sequence* sequence = sequences_.find(event.request);
  if (!sequence || event.epoch != pipeline_.epoch() || !sequence->sampling) return;
  const Flight& flight = sequence->flights.front();
  const auto& drafts = sequence->drafts;
  if (flight.step != event.step || event.tokens.empty() || event.tokens.size() > flight.drafts + 1 ||
      !std::equal(event.tokens.begin(), event.tokens.end() - 1, drafts.begin())) {
    return;
  }
  pipeline_.sampled(*sequence, event.tokens);
  sequence->step_failures = 0;
  for (std::size_t i = 0; i + (event.ends ? 1 : 0) < event.tokens.size(); ++i) {
    sequence->tokens.push_back(event.tokens[i]);
    actions_.emplace_back(Emit{.request = event.request, .kind = EmitKind::kToken, .token = event.tokens[i]});
  }
  if (event.ends) return finish(*sequence, {.kind = EmitKind::kEnd, .reason = FinishReason::kStop});
  if (sequence->emitted() >= sequence->tokens_max) {
    return finish(*sequence, {.kind = EmitKind::kEnd, .reason = FinishReason::kLength});
  }
  pipeline_.token(*sequence);
}

void Lane::handle(const SequenceCancelled& event, Time) {
  Sequence* sequence = sequences_.find(event.request);
  if (sequence) finish(*sequence, {.kind = EmitKind::kEnd, .reason = FinishReason::kCancelled});
}

void Lane::handle(const Drafted& event, Time) {
  pipeline_.drafted(event, sequences_);
}

void Lane::handle(const Timer&, Time now) {
  timer_.reset();
  pipeline_.give_up_drafts(now);
  placement_.timer(pipeline_.kv_can_be_freed(), now, actions_);
  follow_placement();
  const auto deadline = pipeline_.deadline();
  if (placement_.state() == PlanState::kServing && deadline && now >= deadline->at) {
    fail_step(deadline->step,
              {ErrorCode::kDeadlineExceeded,
               fmt::format("no step came back for {} s; a stage or a link between stages is stuck",
                           std::chrono::duration_cast<std::chrono::seconds>(limits_.step_wait_max).count())},
              true, now);
  }
  if (placement_.state() == PlanState::kNone) fail_those_that_waited(now);
}

void Lane::fail_those_that_waited(Time now) {
  Error why = placement_.why_none();
  why.code = ErrorCode::kUnavailable;  // nothing of the request's, whatever the planner calls it
  for (Sequence* oldest = sequences_.oldest(); oldest && waits_until(*oldest) <= now; oldest = sequences_.oldest()) {
    finish(*oldest, {.kind = EmitKind::kError, .error = why});
  }
}

void Lane::finish(Sequence& sequence, Emit last) {
  last.request = sequence.request;
  last.cached_tokens = sequence.cached_tokens;
  last.answer_tokens = sequence.emitted();
  actions_.emplace_back(std::move(last));
  put_away(sequence);
  sequences_.remove(sequence);
}

// What it leaves in the KV is kept, or freed. Its tokens are gone then.
void Lane::put_away(Sequence& sequence) {
  if (sequence.live) pipeline_.remove(sequence);
  const std::size_t known = std::min<std::size_t>(sequence.sent, sequence.tokens.size());
  if (sequence.refilling) {
    // Not all stages have its KV: the pipeline frees it.
  } else if (sequence.id && known > 0 && limits_.prefix_cache) {
    sequence.tokens.resize(known);
    kept_.keep({sequence.id, std::move(sequence.tokens), sequence.kv_rows});
  } else if (sequence.id) {
    pipeline_.free(sequence.id);
  }
}

Sequence Lane::give(std::uint64_t request) {
  Sequence& sequence = *sequences_.find(request);
  Sequence given = sequences_.copy_of(sequence);
  put_away(sequence);
  sequences_.remove(sequence);
  return given;
}

void Lane::let_go(SequenceMoved move, std::function<bool(const Sequence&)> wanted) {
  if (Sequence* before = sequences_.find(leaving_.request)) before->leaving = false;
  leaving_ = std::move(move);
  wanted_ = std::move(wanted);
  if (Sequence* sequence = sequences_.find(leaving_.request)) sequence->leaving = true;
}

// Between two steps its newest token's row is due and nothing else of it is under way. Told before its KV is freed.
void Lane::give_up_leaving() {
  Sequence* sequence = sequences_.find(leaving_.request);
  if (sequence != nullptr && sequence->live && (!sequence->due || !sequence->flights.empty())) return;
  SequenceMoved move = std::exchange(leaving_, {});
  if (sequence == nullptr) return;
  sequence->leaving = false;
  if (!wanted_(*sequence)) return;
  actions_.emplace_back(move);
  given_up_ = {move, give(move.request)};
}

std::vector<Member> Lane::dissolve(Time now, std::vector<Action>& actions) {
  auto members = placement_.dissolve(now, actions);
  actions_.clear();
  follow_placement();
  std::move(actions_.begin(), actions_.end(), std::back_inserter(actions));
  actions_.clear();
  return members;
}

std::uint32_t Lane::beginning(const std::vector<Token>& tokens) const {
  const auto found = beginning_of(tokens);
  return found ? found->length : 0;
}

std::size_t Lane::prompt_rows() const {
  std::size_t rows = 0;
  for (const auto& [arrival, waiting] : sequences_.waiting()) rows += waiting->tokens.size();
  for (const auto& [arrival, live] : sequences_.live()) {
    if (live->prefilling) rows += live->tokens.size() - std::min<std::size_t>(live->sent, live->tokens.size());
  }
  return rows;
}

// When the placement has a new plan or has lost its plan, what was under way is void.
void Lane::follow_placement() {
  const bool is_new = placement_.epoch() != epoch_seen_;
  const bool is_lost = placement_.state() == PlanState::kNone && state_seen_ != PlanState::kNone;
  if (is_new || is_lost) {
    pipeline_.close(sequences_.live());
    kept_.clear();
  }
  if (is_lost) actions_.emplace_back(WithdrawPlan{placement_.epoch(), number_});
  if (is_new) pipeline_.open(placement_.plan(), placement_.keeps_kv(), sequences_.live());
  epoch_seen_ = placement_.epoch();
  state_seen_ = placement_.state();
}

// The last token is not looked for: its row gives the first logits.
std::optional<Lane::Beginning> Lane::beginning_of(std::span<const Token> tokens) const {
  if (!limits_.prefix_cache || tokens.empty()) return std::nullopt;
  const std::span prompt = tokens.first(tokens.size() - 1);
  Beginning best;
  if (const Kept* found = kept_.longest(prompt)) best = {found->id, common_beginning(found->tokens, prompt), found};
  for (const auto& [arrival, live] : sequences_.live()) {
    if (live->refilling) continue;
    const std::span sent(live->tokens.data(), std::min<std::size_t>(live->sent, live->tokens.size()));
    const std::uint32_t length = common_beginning(sent, prompt);
    if (length > best.length) best = {live->id, length, nullptr};
  }
  return best.length > 0 ? std::optional(best) : std::nullopt;
}

// Frees what is kept, least recently used first, until there is room, but not what is taken over or spared. false:
// there is no room; nothing was freed.
bool Lane::make_room(const Sequence& sequence, const Kept* taken_over, const Kept* spared) {
  const Refill::Leaving leaving = pipeline_.leaving();
  std::size_t others = kept_.size() + leaving.sequences - (taken_over ? 1 : 0);
  std::uint64_t cells = kept_.cells() + leaving.cells - (taken_over ? taken_over->rows : 0);
  std::vector<SequenceId> in_the_way;
  for (auto next = kept_.all().rbegin(); next != kept_.all().rend(); ++next) {
    if (sequences_.fits(sequence, others, cells)) break;
    if (&*next == taken_over || &*next == spared || pipeline_.is_forked(next->id)) continue;
    in_the_way.push_back(next->id);
    --others;
    cells -= next->rows;
  }
  if (!sequences_.fits(sequence, others, cells)) return false;
  for (const SequenceId id : in_the_way) {
    kept_.take(id);
    pipeline_.free(id);
  }
  return true;
}

// Makes room for a waiting sequence and decides where its KV begins. A kept sequence is taken over when little of it is
// lost by that; else its beginning is copied where there is room for both. Where there is not, it would have to go
// anyway and is taken over too, unless little is saved by that. false: the sequence has to wait.
bool Lane::admit(Sequence& sequence) {
  const auto beginning = beginning_of(sequence.tokens);
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
    pipeline_.take_over(sequence, kept_.take(source->id), length);
    return true;
  };
  if (source && lost <= length / 4) {
    if (!take_over()) return false;
  } else if (length >= kForkTokensMin && pipeline_.can_fork() && make_room(sequence, nullptr, source)) {
    if (source) kept_.used(source->id);
    pipeline_.fork(sequence, beginning->id, length);
  } else if (!source || (lost > length && length < kForkTokensMin) || !take_over()) {
    return make_room(sequence, nullptr, nullptr);
  }
  if (sequence.emitted() == 0) sequence.cached_tokens = length;
  return true;
}

void Lane::send_steps(Time now) {
  if (placement_.state() != PlanState::kServing) return;
  for (Sequence* next = sequences_.next_waiting(); next && admit(*next); next = sequences_.next_waiting()) {
    sequences_.admit(*next);
    pipeline_.add(*next);
    if (next->emitted() == 0) cached_tokens_ += next->cached_tokens;
    if (limits_.draft_model) tell_draft_model(*next);
  }
  while (auto chunk = pipeline_.refill(now)) actions_.push_back(std::move(*chunk));
  SendStep step;
  const auto ask = [&] {
    if (auto texts = pipeline_.ask_drafts(now)) actions_.emplace_back(std::move(*texts));
  };
  for (ask(); pipeline_.form(now, step); ask()) actions_.emplace_back(std::move(step));
}

// Its prompt, to be read while the pipeline computes it.
void Lane::tell_draft_model(Sequence& sequence) {
  if (sequence.told > 0) return;
  actions_.emplace_back(AskDrafts{0, {{sequence.request, 0, sequence.tokens, 0}}});
  sequence.told = static_cast<std::uint32_t>(sequence.tokens.size());
}

std::optional<Time> Lane::next_due() const {
  std::optional<Time> due = placement_.next_due();
  const auto consider = [&](std::optional<Time> at) {
    if (at) due = due ? std::min(*due, *at) : at;
  };
  if (placement_.state() == PlanState::kServing) {
    if (const auto deadline = pipeline_.deadline()) consider(deadline->at);
    consider(pipeline_.drafts_deadline());
  }
  if (placement_.state() == PlanState::kNone) {
    if (const Sequence* oldest = sequences_.oldest()) consider(waits_until(*oldest));
  }
  return due;
}

// A timer that comes too early costs less than one that is put off with every step.
void Lane::set_timer() {
  const auto due = next_due();
  if (!due || (timer_ && *timer_ <= *due)) return;
  timer_ = due;
  actions_.emplace_back(SetTimer{due});
}

std::vector<Action> Lane::on(const Event& event, Time now) {
  actions_.clear();
  std::visit([&](const auto& known) { handle(known, now); }, event);
  return settle(now);
}

std::vector<Action> Lane::settle(Time now) {
  const auto has_begun = [](const auto& waiting) { return waiting.second->emitted() > 0; };
  const bool begun =
      !sequences_.live().empty() || std::any_of(sequences_.waiting().begin(), sequences_.waiting().end(), has_begun);
  placement_.hold_kernel_family(begun, now);
  if (placement_.may_move(now)) {
    placement_.move(pipeline_.kv_can_be_freed(), pipeline_.refill_time(sequences_.live()), now, actions_);
  }
  placement_.keep_shards(actions_);
  follow_placement();
  if (leaving_.request != 0) give_up_leaving();
  send_steps(now);
  set_timer();
  return std::exchange(actions_, {});
}

Snapshot Lane::snapshot() const {
  Snapshot snapshot;
  snapshot.state = placement_.state();
  if (snapshot.state == PlanState::kNone) {
    snapshot.why_none = placement_.why_none().message;
  } else {
    snapshot.plan = placement_.plan();
  }
  snapshot.nodes = static_cast<std::uint32_t>(placement_.size());
  snapshot.move = placement_.move_text();
  snapshot.why_no_move = placement_.why_no_move();
  snapshot.moves = placement_.moves();
  snapshot.why_not_moved = placement_.why_not_moved();
  snapshot.sequences_live = static_cast<std::uint32_t>(sequences_.live().size());
  snapshot.sequences_waiting = static_cast<std::uint32_t>(sequences_.waiting().size());
  snapshot.steps_in_flight = static_cast<std::uint32_t>(pipeline_.steps_in_flight());
  snapshot.drafts_sent = pipeline_.drafts_sent();
  snapshot.drafts_accepted = pipeline_.drafts_accepted();
  snapshot.model_drafts_sent = pipeline_.model_drafts_sent();
  snapshot.model_drafts_accepted = pipeline_.model_drafts_accepted();
  snapshot.cached_tokens = cached_tokens_;
  snapshot.sequences_refilling = static_cast<std::uint32_t>(pipeline_.sequences_refilling());
  snapshot.sequences_resumed = pipeline_.sequences_resumed();
  snapshot.sequences_restarted = pipeline_.sequences_restarted();
  snapshot.kv_tokens_reserved = sequences_.cells_reserved();
  return snapshot;
}

}  // namespace shoal::sched
