#include "coordinator/event_story.h"

#include <algorithm>
#include <tuple>

#include "base/bytes.h"

namespace shoal::coordinator {
namespace {

constexpr std::size_t kNamesToldMax = 4;  // in one sentence; the others are counted

std::int64_t in_ms(Duration duration) {
  return std::chrono::round<std::chrono::milliseconds>(duration).count();
}

std::string count_text(std::size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

// "layers 6-11", "layer 5"; as `shoal status` counts them
std::string range_text(LayerRange range) {
  return range.count() == 1 ? fmt::format("{}", range.first) : fmt::format("{}-{}", range.first, range.last - 1);
}
std::string layers_text(LayerRange range) {
  return fmt::format("{} {}", range.count() == 1 ? "layer" : "layers", range_text(range));
}

// "a", "a and b", "a, b, c, d and 3 more"
std::string list_text(const std::vector<std::string>& names) {
  const std::size_t told = std::min(names.size(), kNamesToldMax);
  std::string text;
  for (std::size_t i = 0; i < told; ++i) {
    const bool last = i > 0 && i + 1 == names.size();
    text += fmt::format("{}{}", i == 0 ? "" : last ? " and " : ", ", names[i]);
  }
  return names.size() > told ? fmt::format("{} and {} more", text, names.size() - told) : text;
}

// What becomes of those who ask: "; 2 answers wait", "" where nobody asks.
std::string answers_text(const sched::Snapshot& snapshot) {
  const std::size_t count = std::size_t{snapshot.sequences_live} + snapshot.sequences_waiting;
  if (count == 0) return "";
  const bool goes_on = snapshot.state == sched::PlanState::kServing;
  return fmt::format("; {} {}", count_text(count, "answer"),
                     goes_on ? (count == 1 ? "goes on" : "go on") : (count == 1 ? "waits" : "wait"));
}

// "192.168.1.7:40712" -> "192.168.1.7"
std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

bool same_stages(const sched::PlannedPlan& a, const sched::PlannedPlan& b) {
  return std::equal(
      a.stages.begin(), a.stages.end(), b.stages.begin(), b.stages.end(),
      [](const auto& mine, const auto& theirs) { return mine.node == theirs.node && mine.range == theirs.range; });
}

bool has_stage(const sched::PlannedPlan& plan, StageId stage) {
  return std::any_of(plan.stages.begin(), plan.stages.end(), [&](const auto& each) { return each.stage == stage; });
}

std::size_t stages_that_stay(const sched::PlannedPlan& before, const sched::PlannedPlan& plan) {
  return static_cast<std::size_t>(std::count_if(plan.stages.begin(), plan.stages.end(),
                                                [&](const auto& each) { return has_stage(before, each.stage); }));
}

}  // namespace

std::string duration_text(Duration duration) {
  using std::chrono::duration_cast, std::chrono::hours, std::chrono::minutes, std::chrono::seconds;
  const std::int64_t ms = in_ms(duration);
  if (ms < 1000) return fmt::format("{} ms", std::max<std::int64_t>(ms, 0));
  if (duration < minutes(1)) {
    return fmt::format("{:.1f} s", std::chrono::duration<double>(duration).count());
  }
  const auto whole_minutes = duration_cast<minutes>(duration).count();
  if (duration < minutes(10)) {
    return fmt::format("{} min {} s", whole_minutes, duration_cast<seconds>(duration).count() % 60);
  }
  if (duration < hours(1)) return fmt::format("{} min", whole_minutes);
  if (duration < hours(24)) return fmt::format("{} h {} min", whole_minutes / 60, whole_minutes % 60);
  return fmt::format("{} d {} h", whole_minutes / (24 * 60), whole_minutes / 60 % 24);
}

Event EventStory::make(EventKind kind, std::string text) const {
  Event event;
  event.kind = kind;
  event.text = std::move(text);
  Epoch newest;
  for (const auto& [number, lane] : lanes_) newest = std::max(newest, lane.plan.epoch);
  if (newest) event.epoch = newest;
  return event;
}

Event EventStory::make(EventKind kind, const Lane& lane, std::string text) const {
  Event event = make(kind, std::move(text));
  if (lane.plan.epoch) event.epoch = lane.plan.epoch;
  return event;
}

Event EventStory::make(EventKind kind, const NodeId& node, std::string text) const {
  Event event = make(kind, std::move(text));
  event.node = node;
  event.node_name = name_of(node);
  return event;
}

std::string EventStory::name_of(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() || found->second.name.empty() ? node.short_hex() : found->second.name;
}

// --- the coordinator ---

void EventStory::started(const std::string& model, std::size_t nodes_paired) {
  started_ = clock_.now();
  std::string text = fmt::format("coordinator started with {}; {} paired", model,
                                 nodes_paired == 0 ? "no node is" : count_text(nodes_paired, "node"));
  const auto before = log_.read({.limit = 1});
  if (before.ok() && !before->events.empty() && before->events.back().kind != EventKind::kCoordinatorStopped) {
    text += "; the run before was cut off (killed, or the power went)";
  }
  log_.add(make(EventKind::kCoordinatorStarted, std::move(text)));
}

void EventStory::stopped(std::size_t answers) {
  if (!started_) return;
  const Duration ran = clock_.now() - *started_;
  std::string text = fmt::format("coordinator stopped after {}", duration_text(ran));
  if (answers > 0) text += fmt::format("; {} cut short", count_text(answers, "answer"));
  Event event = make(EventKind::kCoordinatorStopped, std::move(text));
  event.duration_ms = in_ms(ran);
  log_.add(std::move(event));
}

// --- nodes ---

void EventStory::paired(const NodeId& node, const std::string& name, const std::string& address) {
  nodes_[node].name = name;
  log_.add(make(EventKind::kNodePaired, node,
                fmt::format("paired from {}, as node {}", host_of(address), node.short_hex())));
}

void EventStory::connected(const NodeId& node, const std::string& name, std::uint64_t memory_bytes_max,
                           const std::string& address) {
  Known& known = nodes_[node];
  known.name = name;
  const auto lost = std::exchange(known.lost, std::nullopt);
  Event event = make(EventKind::kNodeConnected, node, "");
  std::string away;
  if (lost) {
    event.duration_ms = in_ms(clock_.now() - *lost);
    away = fmt::format(" again after {}", duration_text(clock_.now() - *lost));
  }
  event.text = fmt::format("connected{} from {}; offers {}", away, host_of(address), format_size(memory_bytes_max));
  log_.add(std::move(event));
}

std::optional<LayerRange> EventStory::range_of(const NodeId& node) const {
  for (const auto& [number, lane] : lanes_) {
    for (const auto& stage : lane.plan.stages) {
      if (stage.node == node) return stage.range;
    }
  }
  return std::nullopt;
}

// "; it held layers 6-11"
std::string EventStory::held_by(const NodeId& node) const {
  const auto range = range_of(node);
  return range ? fmt::format("; it held {}", layers_text(*range)) : "";
}

void EventStory::lost(const NodeId& node, const Error& why) {
  nodes_[node].lost = clock_.now();
  std::erase_if(loading_, [&](const auto& entry) { return entry.second.node == node; });
  if (revoking_ && revoking_->first == node) {
    revoking_.reset();
    log_.add(make(EventKind::kNodeRevoked, node, fmt::format("revoked: its links are cut{}", held_by(node))));
    return;
  }
  constexpr std::string_view kPeer = "the peer ";
  std::string text = why.message.starts_with(kPeer) ? "the node " + why.message.substr(kPeer.size()) : why.message;
  if (why.code == ErrorCode::kDeadlineExceeded) text = "silent, " + text;
  log_.add(make(EventKind::kNodeLost, node, fmt::format("lost: {}{}", text, held_by(node))));
}

void EventStory::revoking(const NodeId& node, const std::string& name) {
  revoking_ = {node, name};
}

void EventStory::revoked(const NodeId& node, bool done) {
  const auto away = std::exchange(revoking_, std::nullopt);
  if (!done) return;
  if (away) {
    nodes_[node].name = away->second;
    log_.add(make(EventKind::kNodeRevoked, node, "revoked while it was away"));
  }
  nodes_.erase(node);
}

void EventStory::paused(const NodeId& node, const std::string& name, bool paused) {
  Known& known = nodes_[node];
  known.name = name;
  known.paused = paused;
  const auto range = range_of(node);
  if (paused) {
    log_.add(make(
        EventKind::kNodePaused, node,
        range ? fmt::format("paused; another is to take its {}", layers_text(*range)) : "paused; it hosts nothing"));
  } else {
    log_.add(make(
        EventKind::kNodeResumed, node,
        range ? fmt::format("resumed; it keeps its {}", layers_text(*range)) : "resumed; it may host layers again"));
  }
}

void EventStory::cared(const NodeId& node, const CareChange& change) {
  const auto kind = change.step == CareStep::kDrained ? EventKind::kNodeDrained
                    : change.step == CareStep::kBack  ? EventKind::kNodeBack
                                                      : EventKind::kNodeShare;
  nodes_[node].drained = change.step == CareStep::kDrained;
  log_.add(make(kind, node, change.text));
}

// --- stages, steps, sequences ---

void EventStory::stage_ready(StageId stage, std::optional<std::uint64_t> fetched_bytes) {
  const auto loading = loading_.extract(stage);
  if (loading.empty()) return;
  const auto& [node, range, since] = loading.mapped();
  const Duration took = clock_.now() - since;
  const std::string fetched = fetched_bytes ? fmt::format(", {} fetched", format_size(*fetched_bytes)) : "";
  Event event = make(EventKind::kStageReady, node,
                     fmt::format("stage ready after {} ({}{})", duration_text(took), layers_text(range), fetched));
  event.duration_ms = in_ms(took);
  log_.add(std::move(event));
}

void EventStory::stage_failed(const NodeId& node, StageId stage, LayerRange range, const std::string& message) {
  const auto loading = loading_.extract(stage);
  failed_ = node;
  Event event = make(EventKind::kStageFailed, node, "");
  std::string after;
  if (!loading.empty()) {
    const Duration took = clock_.now() - loading.mapped().since;
    event.duration_ms = in_ms(took);
    after = fmt::format(" after {}", duration_text(took));
  }
  event.text = fmt::format("stage failed{} ({}): {}", after, layers_text(range), message);
  log_.add(std::move(event));
}

void EventStory::step_failed(const NodeId& node, const std::string& message) {
  log_.add(make(EventKind::kStepFailed, node, fmt::format("a step failed: {}", message)));
}

void EventStory::journal_too_short(const NodeId& node, const std::string& message) {
  log_.add(make(EventKind::kStepFailed, node, fmt::format("an answer begins again from its tokens: {}", message)));
}

void EventStory::sequence_failed(std::uint64_t request, const Error& error) {
  log_.add(make(EventKind::kSequenceFailed,
                fmt::format("answer {} ended with an error ({}): {}", request, to_string(error.code), error.message)));
}

// --- plans ---

bool EventStory::concerns(const sched::Event& event, const std::vector<sched::Action>& actions) {
  return std::holds_alternative<sched::NodeJoined>(event) || std::holds_alternative<sched::NodeLost>(event) ||
         std::holds_alternative<sched::NodePaused>(event) || std::holds_alternative<sched::StageReady>(event) ||
         std::holds_alternative<sched::StageFailed>(event) || std::holds_alternative<sched::Timer>(event) ||
         std::any_of(actions.begin(), actions.end(),
                     [](const auto& action) { return std::holds_alternative<sched::PublishPlan>(action); });
}

void EventStory::scheduled(const sched::Event& event, const std::vector<sched::Action>& actions,
                           const sched::Snapshot& snapshot) {
  if (const auto* joined = std::get_if<sched::NodeJoined>(&event)) {
    Known& known = nodes_[joined->profile.node];
    known.paused = joined->paused && !known.drained;
    const std::string name = name_of(joined->profile.node);
    if (!joined->paused && std::find(joined_.begin(), joined_.end(), name) == joined_.end()) joined_.push_back(name);
  } else if (const auto* lost = std::get_if<sched::NodeLost>(&event)) {
    std::erase(joined_, name_of(lost->node));
  }
  several_ = snapshot.lanes.size() > 1;
  const auto of_lane = [&](std::uint32_t lane) -> const sched::Snapshot& {
    return several_ ? snapshot.lanes.at(lane) : snapshot;
  };
  tell_moved(actions);
  for (const auto& action : actions) {
    if (const auto* plan = std::get_if<sched::PublishPlan>(&action)) {
      tell_plan(plan->plan, event, of_lane(plan->plan.lane));
    } else if (const auto* load = std::get_if<sched::LoadStage>(&action)) {
      loading_[load->stage] = {load->node, load->range, clock_.now()};
    } else if (const auto* drop = std::get_if<sched::DropStage>(&action)) {
      loading_.erase(drop->stage);
    }
  }
  for (std::uint32_t lane = 0; lane < std::max<std::size_t>(snapshot.lanes.size(), 1); ++lane) {
    tell_state(lane, event, of_lane(lane));
  }
}

std::string EventStory::lane_text(std::uint32_t lane) const {
  return several_ ? fmt::format("pipeline {}: ", lane + 1) : "";
}

// "3 answers go on in pipeline 2 instead of 1: there is no plan here any more"
void EventStory::tell_moved(const std::vector<sched::Action>& actions) {
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::string>, std::size_t> moved;
  for (const auto& action : actions) {
    if (const auto* one = std::get_if<sched::SequenceMoved>(&action)) ++moved[{one->from, one->to, one->why}];
  }
  for (const auto& [way, count] : moved) {
    const auto& [from, to, why] = way;
    log_.add(make(EventKind::kSequencesMoved,
                  fmt::format("{} {} in pipeline {} instead of {}: {}", count_text(count, "answer"),
                              count == 1 ? "goes on" : "go on", to + 1, from + 1, why)));
  }
}

void EventStory::tell_plan(const sched::PlannedPlan& plan, const sched::Event& event, const sched::Snapshot& snapshot) {
  Lane& lane = lanes_[plan.lane];
  const std::size_t stay = stages_that_stay(lane.plan, plan);
  const bool again = same_stages(lane.plan, plan);
  std::string text;
  if (again) {
    text = fmt::format("the same stages again{}{}", reason(event, lane, plan, {}),
                       stay == plan.stages.size() ? "" : "; all are loaded anew");
  } else {
    const Moves moved = moves(lane.plan, plan);
    text = moved.text + reason(event, lane, plan, moved.from) + (plan.why.empty() ? "" : ", " + plan.why);
    if (!lane.plan.stages.empty()) {
      text += stay == 0 ? "; no stage stays"
                        : fmt::format("; {} of {} {}", stay, count_text(plan.stages.size(), "stage"),
                                      stay == 1 ? "stays" : "stay");
    }
  }
  lane.plan = plan;
  joined_.clear();
  log_.add(make(again ? EventKind::kPlanRestarted : EventKind::kPlanMade, lane,
                fmt::format("{}plan {}: {}{}", lane_text(plan.lane), plan.epoch.value, text, answers_text(snapshot))));
}

// "galaxy-s9 takes layers 6-11 from pixel-4 and moto 12-13": the stages that the plan before did not have.
EventStory::Moves EventStory::moves(const sched::PlannedPlan& before, const sched::PlannedPlan& plan) const {
  Moves moves;
  std::vector<std::string> moved;
  for (const auto& stage : plan.stages) {
    if (has_stage(before, stage.stage)) continue;
    std::string move = fmt::format("{} {}", name_of(stage.node),
                                   moved.empty() ? "takes " + layers_text(stage.range) : range_text(stage.range));
    const auto had_it = std::find_if(before.stages.begin(), before.stages.end(), [&](const auto& each) {
      return each.range == stage.range && each.node != stage.node;
    });
    if (had_it != before.stages.end()) {
      moves.from.push_back(had_it->node);
      move += " from " + name_of(had_it->node);
    }
    moved.push_back(std::move(move));
  }
  const std::size_t old = before.stages.size();
  moves.text = !moved.empty()             ? list_text(moved)
               : old > plan.stages.size() ? count_text(old - plan.stages.size(), "stage") + " fewer"
                                          : std::string("stages in another order");
  return moves;
}

// "pixel-4 is paused", of the nodes of the plan before that are to rest and have no stage in this one.
std::vector<std::string> EventStory::resting_out_of(const sched::PlannedPlan& before,
                                                    const sched::PlannedPlan& plan) const {
  std::vector<std::string> names;
  for (const auto& stage : before.stages) {
    const auto known = nodes_.find(stage.node);
    if (known == nodes_.end() || known->second.lost) continue;
    if (!known->second.paused && !known->second.drained) continue;
    const bool stays =
        std::any_of(plan.stages.begin(), plan.stages.end(), [&](const auto& each) { return each.node == stage.node; });
    if (!stays) names.push_back(name_of(stage.node) + (known->second.paused ? " is paused" : " is drained"));
  }
  return names;
}

// ", as pixel-4 was lost"; "" where it was said already whose layers (`told`) go to others.
std::string EventStory::reason(const sched::Event& event, const Lane& lane, const sched::PlannedPlan& plan,
                               const std::vector<NodeId>& told) const {
  const auto is_told = [&](const NodeId& node) { return std::find(told.begin(), told.end(), node) != told.end(); };
  if (const auto* lost = std::get_if<sched::NodeLost>(&event)) {
    return is_told(lost->node) ? "" : fmt::format(", as {} was lost", name_of(lost->node));
  }
  if (std::holds_alternative<sched::StageFailed>(event)) {
    return failed_ && !is_told(*failed_) ? fmt::format(", as {} could not load its layers", name_of(*failed_)) : "";
  }
  // Told always: it may be minutes since the pause.
  if (const auto resting = resting_out_of(lane.plan, plan); !resting.empty()) return ", as " + list_text(resting);
  if (std::holds_alternative<sched::StepFailed>(event)) return ", as a step failed";
  if (std::holds_alternative<sched::StepDone>(event)) return ", as a later step overtook one";
  const bool timer = std::holds_alternative<sched::Timer>(event);
  if (timer && lane.state == sched::PlanState::kLoading) return ", as a stage was not ready in time";
  if (timer && lane.state == sched::PlanState::kServing && joined_.empty()) return ", as a step did not come back";
  // The nodes of a first plan are all in it.
  return joined_.empty() || lane.plan.stages.empty() ? "" : fmt::format(", as {} came", list_text(joined_));
}

void EventStory::tell_state(std::uint32_t number, const sched::Event& event, const sched::Snapshot& snapshot) {
  Lane& lane = lanes_[number];
  const sched::PlanState before = std::exchange(lane.state, snapshot.state);
  const sched::PlanState state = lane.state;
  const Time now = clock_.now();
  if (before == sched::PlanState::kServing && state != before) lane.not_serving_since = now;
  if (before == sched::PlanState::kNone && state != before && !lane.served) lane.not_serving_since = now;
  if (state != sched::PlanState::kNone) lane.why_none.clear();
  if (state == sched::PlanState::kServing) {
    if (before == state) return;
    const Duration took = now - lane.not_serving_since;
    Event told = make(EventKind::kPlanServing, lane,
                      fmt::format("{}serving {} {}{}", lane_text(number), lane.served ? "again after" : "after",
                                  duration_text(took), answers_text(snapshot)));
    told.duration_ms = in_ms(took);
    lane.served = true;
    log_.add(std::move(told));
  } else if (state == sched::PlanState::kNone) {
    // A pipeline that nobody was put in has nothing to tell.
    if (several_ && snapshot.nodes == 0 && before == state) return;
    // While nodes come in, each changes the reason, and nothing was tried yet.
    constexpr std::string_view kNotTried = "the plan is about to be made";
    const bool tried = before != state || std::holds_alternative<sched::Timer>(event) ||
                       std::holds_alternative<sched::StageFailed>(event);
    if (!tried || snapshot.why_none.empty() || snapshot.why_none.ends_with(kNotTried) ||
        snapshot.why_none == lane.why_none)
      return;
    lane.why_none = snapshot.why_none;
    log_.add(make(EventKind::kPlanNone, lane,
                  fmt::format("{}no plan: {}{}", lane_text(number), lane.why_none, answers_text(snapshot))));
  }
}

}  // namespace shoal::coordinator
