#include "sim/checker.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;

void Checker::violation(std::string what) {
  if (violations_.size() < 20) violations_.push_back(std::move(what));
}

void Checker::event(const Event& event) {
  is_timer_ = std::holds_alternative<Timer>(event);
  arrives_ = 0;
  breaks_a_step_ = step_back_ = refill_back_ = false;
  take(event);
  if (healed_) pace_.event(event, breaks_a_step_);
}

void Checker::take(const Event& event) {
  if (const auto* arrived = std::get_if<SequenceArrived>(&event)) {
    if (arrived->request == 0 || requests_.contains(arrived->request)) return;
    arrives_ = arrived->request;
    Request& request = requests_[arrived->request];
    const std::size_t context = std::min(limits_.settings.context_tokens_max, limits_.settings.kv_tokens_total);
    request.prompt = arrived->prompt;
    request.valid = !arrived->prompt.empty() && arrived->prompt.size() < context && arrived->tokens_max > 0;
    ++open_;
    if (!request.valid) return;
    request.tokens_max =
        std::min<std::uint32_t>(arrived->tokens_max, static_cast<std::uint32_t>(context - arrived->prompt.size()));
    request.expected = answer_alone(layers_, request.prompt, request.tokens_max, vocabulary_);
  } else if (const auto* cancelled = std::get_if<SequenceCancelled>(&event)) {
    const auto found = requests_.find(cancelled->request);
    if (found != requests_.end()) found->second.cancelled = true;
  } else if (const auto* done = std::get_if<StepDone>(&event)) {
    const auto found = in_flight_.find(done->step);
    // Of a plan that is lost already it confirms nothing.
    if (done->epoch == epoch_ && refills_.erase(done->step) > 0) refill_back_ = true;
    if (done->epoch != epoch_ || found == in_flight_.end() || after_.state == PlanState::kNone) return;
    if (found != in_flight_.begin()) return blame(in_flight_.begin()->first);  // it is lost: the epoch is over
    for (SequenceId id : found->second.frees) resident_.erase(id);
    in_flight_.erase(found);
    step_back_ = true;
  } else if (const auto* refused = std::get_if<StepFailed>(&event)) {
    if (refused->epoch != epoch_ || after_.state != PlanState::kServing) return;
    const bool missing = refills_.contains(refused->step) && refused->code == ErrorCode::kNotFound;
    if (missing) {
      refill_back_ = refills_.erase(refused->step) > 0;
      return;
    }
    blame(refused->step);
  } else if (const auto* fetched = std::get_if<ShardFetched>(&event)) {
    if (fetching_ == fetched->stage) fetching_.reset();
  } else if (const auto* failed = std::get_if<StageFailed>(&event)) {
    if (fetching_ == failed->stage) fetching_.reset();
  } else if (const auto* lost = std::get_if<NodeLost>(&event)) {
    if (fetching_node_ == lost->node) fetching_.reset();
  } else if (const auto* joined = std::get_if<NodeJoined>(&event)) {
    if (fetching_node_ == joined->profile.node) fetching_.reset();
  } else if (const auto* drafted = std::get_if<Drafted>(&event)) {
    if (drafted->ask == ask_open_) ask_open_ = 0;
  } else if (const auto* sampled = std::get_if<TokenSampled>(&event)) {
    const auto found = requests_.find(sampled->request);
    if (sampled->epoch != epoch_ || found == requests_.end()) return;
    if (in_flight_.contains(sampled->step)) return;  // tokens of a step that is not back mean nothing
    const auto kv = kv_.find(found->second.sequence);
    if (kv != kv_.end()) kv->second.awaited.erase(sampled->step);
  }
}

void Checker::actions(const std::vector<Action>& actions, const Snapshot& after, std::size_t nodes, Time now) {
  now_ = now;
  check_causes(actions, after);
  after_ = after;
  const std::size_t bound = 8 + 4 * nodes + 4 * (limits_.settings.sequences_max + limits_.waiting_sequences_max);
  if (actions.size() > bound) violation(fmt::format("{} actions for one event", actions.size()));
  for (const Action& action : actions) std::visit([&](const auto& known) { check(known); }, action);
  if (after.sequences_live > limits_.settings.sequences_max) violation("more sequences live than sequences_max");
  if (after.kv_tokens_reserved > limits_.settings.kv_tokens_total) violation("more cells reserved than there are");
  if (after.sequences_waiting > limits_.waiting_sequences_max) violation("more sequences wait than may");
}

void Checker::check(const PublishPlan& action) {
  const PlannedPlan& plan = action.plan;
  if (plan.epoch.value != epoch_.value + 1) violation("epoch did not grow by one");
  epoch_ = plan.epoch;
  stages_ = plan.stages.size();
  first_step_ = true;
  std::uint32_t next = 0;
  bool kept = false;
  for (const PlannedPlan::Stage& stage : plan.stages) {
    if (stage.range.first != next || stage.range.last <= next) violation("plan does not cover the layers once");
    next = stage.range.last;
    kept = !in_plan_.insert(stage.stage).second || kept;
  }
  if (next != layers_) violation("plan does not cover all layers");
  if (!kept) {
    resident_.clear();
    before_.clear();
    kv_.clear();
  }
  before_.merge(kv_);
  kv_.clear();
  refilled_.clear();
  in_flight_.clear();
  refills_.clear();
  cells_ = 0;
  for (auto& [id, request] : requests_) request.sequence = {};
}

void Checker::check(const LoadStage& action) {
  if (!loaded_.insert(action.stage).second) violation(fmt::format("stage {} is loaded twice", action.stage.value));
}

void Checker::check(const DropStage& action) {
  loaded_.erase(action.stage);
  in_plan_.erase(action.stage);
  if (fetching_ == action.stage) fetching_.reset();
}

void Checker::check(const FetchShard& action) {
  if (fetching_) violation("two shards are fetched at once");
  if (loaded_.contains(action.stage)) violation("a stage's shard is fetched under its id");
  fetching_ = action.stage;
  fetching_node_ = action.node;
}

void Checker::check(const Replay& action) {
  if (action.epoch != epoch_) violation("a replay of another epoch");
  if (action.step <= last_step_) violation("step ids do not grow");
  last_step_ = action.step;
  await_refill(action.step, action.request);
  check_refill(action.ends_at, action.sequence, action.request, action.first, action.count);
}

// Rows for stages that are new: of a sequence of an older epoch whose request is open, each run from its first row.
void Checker::check_refill(StageId ends_at, SequenceId id, std::uint64_t request, std::uint32_t first,
                           std::uint32_t count) {
  const auto found = before_.find(id);
  if (found == before_.end() || found->second.request != request) {
    return violation(fmt::format("rows of sequence {} for new stages, which is not of request {}", id.value, request));
  }
  if (requests_.at(request).ended) violation(fmt::format("rows of request {} for new stages after its end", request));
  std::uint32_t& rows = refilled_[id][ends_at];
  if (rows != first || count == 0 || count > kStepRowsMax) violation("rows for new stages have a gap");
  rows = first + count;
  if (rows > found->second.tokens.size()) violation("rows for new stages that never were");
}

// A live sequence goes on in a new epoch from its first `length` rows.
void Checker::resume(SequenceId id, std::uint32_t length) {
  InKv kv = std::move(before_.at(id));
  before_.erase(id);
  Request& request = requests_.at(kv.request);
  if (request.ended || request.sequence) return violation(fmt::format("sequence {} goes on for nobody", id.value));
  if (length == 0 || length > kv.tokens.size()) {
    return violation(fmt::format("sequence {} goes on from {} of {} rows", id.value, length, kv.tokens.size()));
  }
  for (const auto& [stage, rows] : refilled_[id]) {
    if (rows != length)
      violation(fmt::format("sequence {} goes on before stage {} has its rows", id.value, stage.value));
  }
  kv.tokens.resize(length);
  for (std::size_t i = 0; i < length; ++i) {
    if (kv.tokens[i] != known_token(request, i)) violation("a sequence goes on from rows that were wrong");
  }
  kv.cells = request.prompt.size() + request.tokens_max;
  kv.awaited = {};
  cells_ += kv.cells;
  request.sequence = id;
  kv_[id] = std::move(kv);
}

// Of an older epoch: its request may go on in it, or rows of it are on their way to new stages.
bool Checker::may_stay(SequenceId id) const {
  const auto found = before_.find(id);
  if (found == before_.end()) return false;
  const auto owner = requests_.find(found->second.request);
  return refilled_.contains(id) || (owner != requests_.end() && !owner->second.ended);
}

void Checker::check(const SendStep& action) {
  if (action.epoch != epoch_) violation("a step of another epoch");
  if (action.step <= last_step_) violation("step ids do not grow");
  last_step_ = action.step;
  if (action.ends_at) {
    if (action.rows.empty()) return violation("a step for new stages without rows");
    const Row& row = action.rows.front();
    for (const Row& each : action.rows) {
      if (each.token != known_token(requests_.at(each.request), each.position))
        violation("a wrong token for new stages");
      if (each.logits != 0) violation("a step for new stages wants logits");
    }
    await_refill(action.step, row.request);
    return check_refill(action.ends_at, row.sequence, row.request, row.position,
                        static_cast<std::uint32_t>(action.rows.size()));
  }
  check_frees(action);
  if (in_flight_.empty()) waits_since_ = now_;
  in_flight_[action.step].frees = action.frees;
  for (const Row& row : action.rows) in_flight_[action.step].requests.insert(row.request);
  if (in_flight_.size() > stages_ + 1) violation(fmt::format("{} steps in flight", in_flight_.size()));
  if (action.rows.size() > limits_.rows_per_step_max) violation("too many rows in a step");
  if (action.rows.empty() && action.frees.empty()) violation("an empty step");
  check_forks(action);
  check_truncations(action);
  for (const Row& row : action.rows) check_row(row, action.step);
  if (kv_.size() > limits_.settings.sequences_max) violation("more sequences in the KV than sequences_max");
  if (cells_ > limits_.settings.kv_tokens_total) violation("more cells promised than kv_tokens_total");
  first_step_ = false;
}

void Checker::check(const AskDrafts& action) {
  if (!limits_.draft_model) violation("drafts are asked of nobody");
  if (action.ask != 0 && std::exchange(ask_open_, action.ask) != 0) violation("drafts are asked for before an answer");
  for (const AskDrafts::Text& text : action.texts) {
    const auto found = requests_.find(text.request);
    if (found == requests_.end() || found->second.ended) {
      violation("drafts for a request that is not there");
      continue;
    }
    Request& request = found->second;
    if (text.from != request.told) violation(fmt::format("request {} is not told on", text.request));
    for (std::size_t i = 0; i < text.tokens.size(); ++i) {
      if (text.tokens[i] != known_token(request, text.from + i)) violation("another text is told to the draft model");
    }
    request.told = text.from + text.tokens.size();
    if (request.told > request.prompt.size() + request.emitted) violation("more is told than is known");
    if ((text.count == 0) != (action.ask == 0)) violation("drafts are wanted of nothing, or nothing is wanted");
    if (text.count > limits_.draft_tokens_max) violation("more drafts are wanted than may be");
  }
}

void Checker::check_frees(const SendStep& action) {
  std::set<SequenceId> named;
  for (SequenceId id : action.frees) {
    if (!named.insert(id).second) violation("a sequence is freed twice in a step");
    const auto found = kv_.find(id);
    if (found != kv_.end()) {
      const auto owner = requests_.find(found->second.request);
      if (owner != requests_.end() && !owner->second.ended) {
        violation(fmt::format("request {} is freed before its end", owner->first));
      }
      cells_ -= found->second.cells;
      kv_.erase(found);
    } else if (before_.erase(id) == 0 && (!first_step_ || !resident_.contains(id))) {
      violation(fmt::format("sequence {} is freed, but is not there", id.value));
    }
  }
  if (!first_step_) return;
  for (SequenceId id : resident_) {
    if (!named.contains(id) && !may_stay(id))
      violation(fmt::format("sequence {} of an older epoch is not freed first", id.value));
  }
}

// -1 where the right answer has no token any more: a wrong one went on.
Token Checker::known_token(const Request& request, std::size_t position) const {
  if (position < request.prompt.size()) return request.prompt[position];
  const std::size_t at = position - request.prompt.size();
  return at < request.expected.tokens.size() ? request.expected.tokens[at] : -1;
}

bool Checker::is_newest(const Row& row) const {
  const auto found = requests_.find(row.request);
  if (found == requests_.end() || found->second.ended) return false;
  const Request& request = found->second;
  const std::size_t known = request.prompt.size() + request.emitted;
  return row.position + 1 == known && row.token == known_token(request, row.position);
}

std::optional<Token> Checker::right_token(std::uint64_t request, std::size_t position) const {
  const auto found = requests_.find(request);
  const Token token = found == requests_.end() ? -1 : known_token(found->second, position);
  return token < 0 ? std::nullopt : std::optional(token);
}

// A request's first row of an epoch: under a new id, or under one whose rows so far are the request's beginning and
// which belongs to nobody any more.
bool Checker::claim(Request& request, const Row& row) {
  const auto found = kv_.find(row.sequence);
  if (found == kv_.end() && !used_.insert(row.sequence).second) {
    violation(fmt::format("sequence id {} is used again, and is not kept", row.sequence.value));
    return false;
  }
  InKv& kv = kv_[row.sequence];
  if (kv.request != 0 && !requests_.at(kv.request).ended) {
    violation(fmt::format("request {} goes on in the KV of request {}", row.request, kv.request));
    return false;
  }
  const std::size_t known = request.prompt.size() + request.emitted;
  if (kv.tokens.size() >= known) {
    violation(fmt::format("request {} has all of its rows from another one", row.request));
    return false;
  }
  for (std::size_t i = 0; i < kv.tokens.size(); ++i) {
    if (kv.tokens[i] == known_token(request, i)) continue;
    violation(fmt::format("request {} begins with another's KV, which differs at {}", row.request, i));
    return false;
  }
  const std::uint64_t cells = request.prompt.size() + request.tokens_max;
  cells_ += cells - kv.cells;
  kv.cells = cells;
  kv.request = row.request;
  kv.awaited = {};
  request.sequence = row.sequence;
  resident_.insert(row.sequence);
  return true;
}

void Checker::check_row(const Row& row, StepId step) {
  const auto found = requests_.find(row.request);
  if (found == requests_.end()) return violation("a row of an unknown request");
  Request& request = found->second;
  if (request.ended) violation(fmt::format("a row of request {} after its end", row.request));
  if (!request.sequence && !claim(request, row)) return;
  const auto kv = kv_.find(row.sequence);
  if (request.sequence != row.sequence || kv == kv_.end()) return violation("a row under a wrong sequence id");
  if (row.position != kv->second.tokens.size()) {
    violation(fmt::format("request {}: position {} in step {}", row.request, row.position, step.value));
  }
  kv->second.tokens.push_back(row.token);
  const std::size_t known = request.prompt.size() + request.emitted;
  if (row.position < known) {
    if (row.token != known_token(request, row.position)) {
      violation(fmt::format("request {}: wrong token at {}", row.request, row.position));
    }
  } else if (row.position >= request.prompt.size() + request.tokens_max) {
    violation("a draft beyond the answer's limit");
  } else if (row.position >= known + (stages_ + 1) * (limits_.draft_tokens_max + 1)) {
    violation("more drafts than may be");
  }
  if ((row.logits > 0) != (row.position + 1 >= known))
    violation("logits wanted of a row that is neither last nor a draft");
  if (row.position + 1 == known) kv->second.awaited.clear();  // what was sent before is in vain
  if (row.position >= known && kv->second.awaited.empty()) violation("a draft without its sequence's newest row");
  if (row.logits > 0) kv->second.awaited.insert(step);
  if (kv->second.awaited.size() > stages_ + 1) violation("rows of a sequence want logits in too many steps");
}

// Also one of an older epoch that goes on in this one, and has had no step in it yet: stages that are new have its
// rows.
const Checker::InKv* Checker::source_of(const Fork& fork) const {
  if (const auto found = kv_.find(fork.from); found != kv_.end()) return &found->second;
  const auto found = before_.find(fork.from);
  if (found == before_.end() || !may_stay(fork.from)) return nullptr;
  if (const auto refilled = refilled_.find(fork.from); refilled != refilled_.end()) {
    for (const auto& [stage, rows] : refilled->second) {
      if (rows < fork.length) return nullptr;
    }
  }
  return &found->second;
}

void Checker::check_forks(const SendStep& action) {
  for (const Fork& fork : action.forks) {
    if (!limits_.prefix_cache) violation("a fork without a prefix cache");
    if (action.forks.size() > kForksPerStepMax) violation("too many forks in a step");
    const InKv* from = source_of(fork);
    if (from == nullptr || fork.length == 0 || fork.length > from->tokens.size()) {
      violation(fmt::format("a fork of {} rows of sequence {}, which are not there", fork.length, fork.from.value));
      continue;
    }
    if (!used_.insert(fork.sequence).second)
      violation(fmt::format("sequence id {} is used twice", fork.sequence.value));
    const auto& tokens = from->tokens;
    kv_[fork.sequence] = {0, {tokens.begin(), tokens.begin() + fork.length}, fork.length, {}};
    resident_.insert(fork.sequence);
    cells_ += fork.length;
  }
}

void Checker::check_truncations(const SendStep& action) {
  std::set<SequenceId> named;
  for (const Truncation& truncation : action.truncations) {
    if (!named.insert(truncation.sequence).second) violation("a sequence is truncated twice in a step");
    if (before_.contains(truncation.sequence)) {
      resume(truncation.sequence, truncation.length);
      continue;
    }
    const auto found = kv_.find(truncation.sequence);
    if (found == kv_.end()) {
      violation("a sequence is truncated that is not there");
      continue;
    }
    InKv& kv = found->second;
    const bool has_rows = std::any_of(action.rows.begin(), action.rows.end(),
                                      [&](const Row& row) { return row.sequence == truncation.sequence; });
    if (!has_rows) violation("a sequence is truncated that has no rows in the step");
    if (truncation.length >= kv.tokens.size()) {
      violation("a truncation drops nothing");
      continue;
    }
    const auto owner = requests_.find(kv.request);
    if (owner != requests_.end() && !owner->second.ended &&
        truncation.length + 1 != owner->second.prompt.size() + owner->second.emitted) {
      violation("a truncation drops known tokens");
    }
    kv.tokens.resize(truncation.length);
  }
}

void Checker::check(const Emit& action) {
  const auto found = requests_.find(action.request);
  if (found == requests_.end()) return violation("an emit for an unknown request");
  Request& request = found->second;
  if (action.kind != EmitKind::kEnd || action.reason != FinishReason::kCancelled) got_on_ = now_;
  if (request.ended) return violation(fmt::format("request {} goes on after its end", action.request));
  if (action.kind != EmitKind::kToken) return check_end(request, action);
  ++tokens_;
  request.blamed = 0;
  if (request.emitted >= request.expected.tokens.size() || request.expected.tokens[request.emitted] != action.token) {
    violation(fmt::format("request {}: token {} differs from the answer alone", action.request, request.emitted));
  }
  ++request.emitted;
}

void Checker::check_end(Request& request, const Emit& action) {
  request.ended = true;
  --open_;
  if (const auto kept = kv_.find(request.sequence); kept != kv_.end() && limits_.prefix_cache) {
    cells_ -= kept->second.cells - kept->second.tokens.size();
    kept->second.cells = kept->second.tokens.size();
  }
  if (action.kind == EmitKind::kEnd) {
    if (!request.valid) return violation("a request that cannot work was answered");
    if (action.reason == FinishReason::kCancelled) {
      if (!request.cancelled) violation("cancelled, though nobody asked");
      return;
    }
    const bool stopped = action.reason == FinishReason::kStop;
    if (request.emitted != request.expected.tokens.size() || stopped != request.expected.stopped) {
      violation(fmt::format("request {}: the answer is not complete", action.request));
    }
    ++answers_;
    return;
  }
  check_error(request, action);
}

void Checker::check_error(const Request& request, const Emit& action) {
  ++errors_;
  const ErrorCode code = action.error.code;
  if (!request.valid) {
    if (code != ErrorCode::kInvalidArgument) violation("a request that cannot work has another error");
    return;
  }
  const bool crowded = code == ErrorCode::kResourceExhausted && request.emitted == 0 &&
                       after_.sequences_waiting == limits_.waiting_sequences_max;
  const bool no_plan = after_.state == PlanState::kNone && code == ErrorCode::kUnavailable;
  const bool blamed = request.blamed >= limits_.step_failures_max;
  errors_no_plan_ += no_plan;
  errors_of_steps_ += blamed && !no_plan;
  if (healed_ && request.arrived >= *healed_ && !crowded) {
    violation(fmt::format("request {} came when the shoal must have healed, and has an error: {}", action.request,
                          action.error.message));
  }
  if (!crowded && !no_plan && !blamed && !step_errors_allowed_) {
    violation(fmt::format("request {}: {} ({})", action.request, to_string(code), action.error.message));
  }
}

void Checker::check(const SetTimer& action) {
  timers_for_now_ = action.at && *action.at <= now_ ? timers_for_now_ + 1 : 0;
  if (timers_for_now_ > 10) violation("the timer is set for now again and again");
}

void Checker::all_done(const Snapshot& snapshot) {
  if (open_ > 0) violation(fmt::format("{} requests never ended", open_));
  if (snapshot.state != PlanState::kServing)
    violation("no plan serves, though all nodes are there: " + snapshot.why_none);
  if (snapshot.sequences_live + snapshot.sequences_waiting + snapshot.steps_in_flight > 0)
    violation("something is left");
  if (snapshot.kv_tokens_reserved > 0) violation("cells are still reserved");
  if (!kv_.empty() && !limits_.prefix_cache) violation(fmt::format("{} sequences were never freed", kv_.size()));
}

}  // namespace shoal::sim
