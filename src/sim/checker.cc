#include "sim/checker.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;

namespace {

// One, or those of several lanes.
std::vector<const Snapshot*> lanes_of(const Snapshot& snapshot) {
  std::vector<const Snapshot*> lanes;
  for (const Snapshot& lane : snapshot.lanes) lanes.push_back(&lane);
  if (lanes.empty()) lanes.push_back(&snapshot);
  return lanes;
}

}  // namespace

Checker::Checker(std::uint32_t layers, const Limits& limits, std::uint32_t vocabulary)
    : book_{layers, limits, {}, {}, {}, {}, {}}, vocabulary_(vocabulary), pace_(book_.limits) {
  make_lanes();
}

void Checker::make_lanes() {
  lanes_.clear();
  for (std::uint32_t i = 0; i < std::max<std::size_t>(book_.limits.replicas, 1); ++i) lanes_.emplace_back(i, book_);
}

LaneChecker* Checker::lane_of(Epoch epoch) {
  const auto found =
      std::find_if(lanes_.begin(), lanes_.end(), [epoch](const LaneChecker& lane) { return lane.epoch() == epoch; });
  return found == lanes_.end() || epoch.value == 0 ? nullptr : &*found;
}

// --- what it is told ---

void Checker::event(const Event& event) {
  is_timer_ = std::holds_alternative<Timer>(event);
  arrives_ = 0;
  for (LaneChecker& lane : lanes_) lane.begin_event();
  take(event);
  const bool breaks_a_step =
      std::any_of(lanes_.begin(), lanes_.end(), [](const LaneChecker& lane) { return lane.breaks_a_step(); });
  if (healed_) pace_.event(event, breaks_a_step);
}

void Checker::take(const SequenceArrived& event) {
  if (event.request == 0 || book_.requests.contains(event.request)) return;
  arrives_ = event.request;
  Request& request = book_.requests[event.request];
  const StageSettings& settings = book_.limits.settings;
  const std::size_t context = std::min(settings.context_tokens_max, settings.kv_tokens_total);
  request.prompt = event.prompt;
  request.valid = !event.prompt.empty() && event.prompt.size() < context && event.tokens_max > 0;
  ++open_;
  if (!request.valid) return;
  request.tokens_max =
      std::min<std::uint32_t>(event.tokens_max, static_cast<std::uint32_t>(context - event.prompt.size()));
  request.expected = answer_alone(book_.layers, request.prompt, request.tokens_max, vocabulary_);
}

// Exact answers are demanded: all tokens of one are from kernels of one family.
void Checker::check_family(Request& request) {
  if (!request.lane) return;
  for (const NodeId& node : lanes_[*request.lane].nodes()) {
    const std::string& family = family_of_[node];
    if (request.family.empty()) request.family = family;
    if (request.family != family) violation("an answer that is to be exact is from two kernel families");
  }
}

// What it hosted is gone.
void Checker::gone(NodeId node) {
  fetching_.erase(node);
  std::erase_if(loaded_, [&](const auto& item) { return item.second == node; });
}

void Checker::gone(StageId stage) {
  std::erase_if(fetching_, [&](const auto& item) { return item.second == stage; });
}

void Checker::take(const Event& event) {
  if (const auto* arrived = std::get_if<SequenceArrived>(&event)) {
    take(*arrived);
  } else if (const auto* cancelled = std::get_if<SequenceCancelled>(&event)) {
    const auto found = book_.requests.find(cancelled->request);
    if (found != book_.requests.end()) found->second.cancelled = true;
  } else if (const auto* fetched = std::get_if<ShardFetched>(&event)) {
    gone(fetched->stage);
  } else if (const auto* failed = std::get_if<StageFailed>(&event)) {
    gone(failed->stage);
    loaded_.erase(failed->stage);
  } else if (const auto* lost = std::get_if<NodeLost>(&event)) {
    gone(lost->node);
  } else if (const auto* joined = std::get_if<NodeJoined>(&event)) {
    gone(joined->profile.node);
    family_of_[joined->profile.node] = joined->profile.kernel_family;
  }
  for (LaneChecker& lane : lanes_) {
    if (const auto* done = std::get_if<StepDone>(&event)) lane.done(*done);
    if (const auto* refused = std::get_if<StepFailed>(&event)) lane.failed(*refused);
    if (const auto* sampled = std::get_if<TokenSampled>(&event)) lane.sampled(*sampled);
    if (const auto* drafted = std::get_if<Drafted>(&event)) lane.drafted(*drafted);
  }
}

// --- what it answers ---

void Checker::actions(const std::vector<Action>& actions, const Snapshot& after, std::size_t nodes, Time now) {
  book_.now = now;
  check_causes(actions, after);
  after_ = after;
  const Limits& limits = book_.limits;
  const std::size_t of_lane = 8 + 4 * (limits.settings.sequences_max + limits.waiting_sequences_max);
  if (actions.size() > lanes_.size() * of_lane + 4 * nodes)
    violation(fmt::format("{} actions for one event", actions.size()));
  for (const Action& action : actions) std::visit([&](const auto& known) { check(known); }, action);
  check_bounds(after);
  if (chosen_) check_chosen(actions);
  chosen_.reset();
}

void Checker::check_bounds(const Snapshot& after) {
  const std::vector<const Snapshot*> lanes = lanes_of(after);
  if (lanes.size() != lanes_.size()) return violation("a pipeline is missing");
  std::size_t serving = 0;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    lanes_[i].check_state(*lanes[i]);
    serving += lanes[i]->state == PlanState::kServing;
  }
  lanes_max_ = std::max(lanes_max_, serving);
  // With several, those that were live in one may wait in another.
  const std::size_t moved = lanes_.size() > 1 ? book_.limits.settings.sequences_max : 0;
  if (after.sequences_waiting > lanes_.size() * (book_.limits.waiting_sequences_max + moved))
    violation("more sequences wait than may");
  if (after.sequences_live + after.sequences_waiting != open_)
    violation(
        fmt::format("{} requests are open, and {} are known", open_, after.sequences_live + after.sequences_waiting));
}

// A sampler that chooses twice for one position gives another text.
void Checker::check_chosen(const std::vector<Action>& actions) {
  std::size_t tokens = 0;
  bool ends = false;
  for (const Action& action : actions) {
    const auto* emit = std::get_if<Emit>(&action);
    if (emit == nullptr || emit->request != chosen_->request) continue;
    tokens += emit->kind == EmitKind::kToken;
    ends = ends || emit->kind == EmitKind::kEnd;
  }
  if (tokens + chosen_->ends == chosen_->tokens.size() && (ends || !chosen_->ends)) return;
  violation(fmt::format("request {}: {} tokens were chosen from step {}, and {} taken", chosen_->request,
                        chosen_->tokens.size(), chosen_->step.value, tokens));
}

void Checker::check(const PublishPlan& action) {
  const PlannedPlan& plan = action.plan;
  if (plan.epoch.value != ++epochs_) violation("epoch did not grow by one");
  epochs_ = plan.epoch.value;
  if (plan.lane >= lanes_.size()) return violation("a plan for a pipeline that there is not");
  for (const PlannedPlan::Stage& stage : plan.stages) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      if (i != plan.lane && lanes_[i].hosts(stage.node)) violation("a node is in the plans of two pipelines");
    }
    for (const auto& [loaded, node] : loaded_) {
      const auto lane = lane_of_stage_.find(loaded);
      if (node == stage.node && lane != lane_of_stage_.end() && lane->second != plan.lane) {
        violation("a node hosts stages of two pipelines");
      }
    }
    const auto lane = lane_of_stage_.emplace(stage.stage, plan.lane).first;
    if (lane->second != plan.lane) violation("a stage goes from a pipeline to another");
  }
  lanes_[plan.lane].publish(plan);
}

void Checker::check(const WithdrawPlan& action) {
  if (action.lane >= lanes_.size()) return violation("a plan for a pipeline that there is not");
  lanes_[action.lane].withdraw(action);
}

void Checker::check(const LoadStage& action) {
  if (!loaded_.emplace(action.stage, action.node).second)
    violation(fmt::format("stage {} is loaded twice", action.stage.value));
}

void Checker::check(const DropStage& action) {
  loaded_.erase(action.stage);
  gone(action.stage);
  for (LaneChecker& lane : lanes_) lane.dropped(action.stage);
}

void Checker::check(const FetchShard& action) {
  if (loaded_.contains(action.stage)) violation("a stage's shard is fetched under its id");
  const bool is_first = fetching_.emplace(action.node, action.stage).second;
  if (!is_first || fetching_.size() > lanes_.size()) violation("two shards are fetched at once");
}

void Checker::check(const Replay& action) {
  LaneChecker* lane = lane_of(action.epoch);
  if (lane == nullptr) return violation("a replay of another epoch");
  lane->check(action);
}

void Checker::check(const SendStep& action) {
  LaneChecker* lane = lane_of(action.epoch);
  if (lane == nullptr) return violation("a step of another epoch");
  lane->check(action);
}

void Checker::check(const AskDrafts& action) {
  if (!book_.limits.draft_model) violation("drafts are asked of nobody");
  std::optional<std::uint32_t> lane;
  for (const AskDrafts::Text& text : action.texts) {
    Request* request = book_.open(text.request);
    if (request == nullptr) {
      violation("drafts for a request that is not there");
      continue;
    }
    if (text.from != request->told) violation(fmt::format("request {} is not told on", text.request));
    for (std::size_t i = 0; i < text.tokens.size(); ++i) {
      if (text.tokens[i] != request->token_at(text.from + i)) violation("another text is told to the draft model");
    }
    request->told = text.from + text.tokens.size();
    if (request->told > request->known()) violation("more is told than is known");
    if ((text.count == 0) != (action.ask == 0)) violation("drafts are wanted of nothing, or nothing is wanted");
    if (text.count > book_.limits.draft_tokens_max) violation("more drafts are wanted than may be");
    if (lane && lane != request->lane) violation("one question is of two pipelines");
    lane = request->lane;
  }
  if (action.ask == 0) return;
  if (!lane) return violation("drafts are wanted of a request that has sent nothing");
  lanes_[*lane].ask(action.ask);
}

// A lane that a request leaves has nothing of it under way, or its plan is dead; it goes on from its tokens.
void Checker::check(const SequenceMoved& action) {
  ++sequences_moved_;
  Request* request = book_.open(action.request);
  const bool sane = action.from < lanes_.size() && action.to < lanes_.size() && action.from != action.to;
  if (request == nullptr || !sane) return violation("a sequence moves that is not there, or nowhere");
  if (request->lane && *request->lane != action.from) {
    return violation(
        fmt::format("request {} leaves pipeline {}, and is in {}", action.request, action.from, *request->lane));
  }
  if (healed_) {
    const bool serves = lanes_[action.from].state() == PlanState::kServing &&
                        lanes_of(after_)[action.from]->state == PlanState::kServing;
    const bool freely = serves && lanes_[action.from].computes(action.request);
    for (std::string& wrong : pace_.moved(action.request, freely, book_.now)) violation(std::move(wrong));
  }
  lanes_[action.from].moved_away(action.request);
  request->lane = action.to;
}

bool Checker::is_newest(const Row& row) const {
  const Request* request = book_.open(row.request);
  return request != nullptr && row.position + 1 == request->known() && row.token == request->token_at(row.position);
}

std::optional<Token> Checker::right_token(std::uint64_t request, std::size_t position) const {
  const auto found = book_.requests.find(request);
  const Token token = found == book_.requests.end() ? -1 : found->second.token_at(position);
  return token < 0 ? std::nullopt : std::optional(token);
}

// --- answers ---

void Checker::check(const Emit& action) {
  const auto found = book_.requests.find(action.request);
  if (found == book_.requests.end()) return violation("an emit for an unknown request");
  Request& request = found->second;
  if (action.kind != EmitKind::kEnd || action.reason != FinishReason::kCancelled) got_on_ = book_.now;
  if (request.ended) return violation(fmt::format("request {} goes on after its end", action.request));
  if (action.kind != EmitKind::kToken) return check_end(action.request, request, action);
  ++tokens_;
  request.blamed = 0;
  if (book_.limits.settings.exact == ExactMode::kOn) check_family(request);
  if (request.emitted >= request.expected.tokens.size() || request.expected.tokens[request.emitted] != action.token) {
    violation(fmt::format("request {}: token {} differs from the answer alone", action.request, request.emitted));
  }
  ++request.emitted;
}

void Checker::check_end(std::uint64_t id, Request& request, const Emit& action) {
  request.ended = true;
  --open_;
  for (LaneChecker& lane : lanes_) lane.ended(id);
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
  const std::vector<const Snapshot*> lanes = lanes_of(after_);
  const bool full = std::any_of(lanes.begin(), lanes.end(), [this](const Snapshot* lane) {
    return lane->sequences_waiting >= book_.limits.waiting_sequences_max;
  });
  const bool crowded = code == ErrorCode::kResourceExhausted && request.emitted == 0 && full;
  // What has begun and is to be exact may find no plan of its kernel family.
  const bool waits_for_family = book_.limits.settings.exact == ExactMode::kOn && !request.family.empty() &&
                                request.lane && lanes[*request.lane]->state == PlanState::kNone;
  const bool no_plan = (after_.state == PlanState::kNone || waits_for_family) && code == ErrorCode::kUnavailable;
  const bool blamed = request.blamed >= book_.limits.step_failures_max;
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
  timers_for_now_ = action.at && *action.at <= book_.now ? timers_for_now_ + 1 : 0;
  if (timers_for_now_ > 10) violation("the timer is set for now again and again");
}

// --- at the end ---

std::size_t Checker::sequences_kept(StageId stage) const {
  const auto lane = lane_of_stage_.find(stage);
  return lane == lane_of_stage_.end() ? 0 : lanes_[lane->second].sequences_kept();
}

void Checker::all_done(const Snapshot& snapshot) {
  if (open_ > 0) violation(fmt::format("{} requests never ended", open_));
  if (snapshot.state != PlanState::kServing)
    violation("no plan serves, though all nodes are there: " + snapshot.why_none);
  for (const Snapshot& lane : snapshot.lanes) {
    if (lane.nodes > 0 && lane.state != PlanState::kServing)
      violation(fmt::format("a pipeline of {} nodes does not serve: {}", lane.nodes, lane.why_none));
  }
  if (snapshot.sequences_live + snapshot.sequences_waiting + snapshot.steps_in_flight > 0)
    violation("something is left");
  if (snapshot.kv_tokens_reserved > 0) violation("cells are still reserved");
  for (const LaneChecker& lane : lanes_) lane.all_done();
}

}  // namespace shoal::sim
