#include "sched/placement.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace shoal::sched {
namespace {

constexpr int kSettleMax = 10;  // joins put planning off for so many times plan_settle at the most

std::string name_of(const plan::NodeProfile& profile) {
  return profile.name.empty() ? profile.node.short_hex() : profile.name;
}

}  // namespace

bool Placement::in_plan(NodeId node) const {
  return state_ != PlanState::kNone && std::any_of(plan_.stages.begin(), plan_.stages.end(),
                                                   [&](const PlannedPlan::Stage& stage) { return stage.node == node; });
}

void Placement::join(const NodeJoined& event, bool may_keep, Time now, std::vector<Action>& actions) {
  const NodeId id = event.profile.node;
  if (nodes_.contains(id)) lose(id, may_keep, now, actions);
  nodes_[id] = {event.profile, 0, Time{}};
  if (state_ != PlanState::kNone) return;
  if (!settle_at_) settle_latest_ = now + limits_.plan_settle * kSettleMax;
  settle_at_ = std::min(now + limits_.plan_settle, settle_latest_);
}

void Placement::lose(NodeId node, bool may_keep, Time now, std::vector<Action>& actions) {
  if (nodes_.erase(node) == 0) return;
  const bool planned = in_plan(node);
  if (const auto found = hosted_.find(node); found != hosted_.end()) {
    host_of_.erase(found->second.stage);
    hosted_.erase(found);
  }
  if (planned) replan(may_keep, now, actions);
}

void Placement::ready(StageId stage) {
  const auto host = host_of_.find(stage);
  if (host == host_of_.end()) return;
  Hosted& hosted = hosted_.at(host->second);
  if (hosted.ready) return;
  hosted.ready = true;
  if (state_ != PlanState::kLoading || !in_plan(host->second)) return;
  --stages_loading_;
  serve_if_ready();
}

void Placement::serve_if_ready() {
  if (stages_loading_ > 0) return;
  state_ = PlanState::kServing;
  served_once_ = true;
  for (const PlannedPlan::Stage& stage : plan_.stages) nodes_.at(stage.node).failures = 0;
}

void Placement::failed(const StageFailed& event, bool may_keep, Time now, std::vector<Action>& actions) {
  const auto host = host_of_.find(event.stage);
  if (host == host_of_.end()) return;
  const NodeId node = host->second;
  const bool planned = in_plan(node);
  fail_node(node, event.message, now);
  if (planned) replan(may_keep, now, actions);
}

// What it hosted is gone, and it is left out for a while.
void Placement::fail_node(NodeId node, const std::string& message, Time now) {
  host_of_.erase(hosted_.at(node).stage);
  hosted_.erase(node);
  Node& failed = nodes_.at(node);
  ++failed.failures;
  failed.usable_at = now + limits_.stage_retry_after;
  last_failure_ = name_of(failed.profile) + ": " + message;
}

void Placement::replan(bool may_keep, Time now, std::vector<Action>& actions) {
  planned_at_ = now;
  settle_at_.reset();
  std::vector<plan::NodeProfile> usable_nodes;
  for (const auto& [id, node] : nodes_) {
    if (usable(node, now)) usable_nodes.push_back(node.profile);
  }
  const std::size_t left_out = nodes_.size() - usable_nodes.size();
  if (nodes_.empty()) {
    return become_none(plan::no_node(model_), now);
  }
  if (!served_once_ && nodes_.size() < limits_.nodes_min) {
    return become_none({ErrorCode::kUnavailable, fmt::format("{} of {} nodes are there; waiting for the others",
                                                             nodes_.size(), limits_.nodes_min)},
                       now);
  }
  if (usable_nodes.empty()) {
    return become_none(
        {ErrorCode::kUnavailable, fmt::format("all nodes failed to load their layers; {}", last_failure_)}, now);
  }
  auto plan = plan::make_plan(model_, std::move(usable_nodes), rules());
  if (!plan.ok()) {
    Error error = std::move(plan).error();
    if (left_out > 0) error.message += fmt::format(" ({} left out after failing to load: {})", left_out, last_failure_);
    return become_none(std::move(error), now);
  }
  adopt(plan->stages, std::move(plan->explanation), may_keep, now, actions);
}

plan::PlanRules Placement::rules() const {
  plan::PlanRules rules;
  rules.one_kernel_family = limits_.settings.exact == ExactMode::kOn;
  if (family_held_) rules.kernel_family = family_;
  return rules;
}

// What was impossible for those answers may be possible without them.
void Placement::hold_kernel_family(bool held, Time now) {
  const bool released = family_held_ && !held && state_ == PlanState::kNone && !nodes_.empty();
  family_held_ = held;
  if (released && limits_.settings.exact == ExactMode::kOn && !settle_at_) settle_at_ = settle_latest_ = now;
}

void Placement::become_none(Error why, Time now) {
  if (state_ != PlanState::kNone) none_since_ = now;
  state_ = PlanState::kNone;
  why_none_ = std::move(why);
}

void Placement::adopt(const std::vector<plan::PlannedStage>& stages, std::string explanation, bool may_keep, Time now,
                      std::vector<Action>& actions) {
  std::map<NodeId, LayerRange> wanted;
  for (const plan::PlannedStage& stage : stages) wanted[stage.node] = stage.range;
  std::vector<Action> drops;  // told after the plan, so that nodes know old steps as old before their stage is gone
  for (auto next = hosted_.begin(); next != hosted_.end();) {
    const auto& [node, hosted] = *next;
    const auto found = wanted.find(node);
    if (may_keep && found != wanted.end() && found->second == hosted.range) {
      ++next;
      continue;
    }
    drops.emplace_back(DropStage{node, hosted.stage});
    host_of_.erase(hosted.stage);
    next = hosted_.erase(next);
  }

  if (!stages.empty()) family_ = nodes_.at(stages.front().node).profile.kernel_family;
  epoch_ = {epoch_.value + 1};
  plan_ = {epoch_, {}, std::move(explanation)};
  keeps_kv_ = !hosted_.empty();
  stages_loading_ = 0;
  std::vector<Action> loads;
  for (const plan::PlannedStage& stage : stages) {
    auto [hosted, is_new] = hosted_.try_emplace(stage.node);
    if (is_new) {
      hosted->second = {StageId{++stages_}, stage.range, false, now};
      host_of_[hosted->second.stage] = stage.node;
      loads.emplace_back(LoadStage{stage.node, hosted->second.stage, stage.range, stage.range.first == 0,
                                   stage.range.last == model_.layer_count});
    }
    stages_loading_ += !hosted->second.ready;
    plan_.stages.push_back({stage.node, hosted->second.stage, stage.range, stage.memory_bytes});
  }
  state_ = PlanState::kLoading;
  why_none_.reset();
  actions.emplace_back(PublishPlan{plan_});
  std::move(drops.begin(), drops.end(), std::back_inserter(actions));
  std::move(loads.begin(), loads.end(), std::back_inserter(actions));
  serve_if_ready();
}

void Placement::restart(bool reload, Time now, std::vector<Action>& actions) {
  SHOAL_ASSERT(state_ == PlanState::kServing);
  std::vector<plan::PlannedStage> same;
  for (const PlannedPlan::Stage& stage : plan_.stages) same.push_back({stage.node, stage.range, stage.memory_bytes});
  adopt(same, plan_.explanation, !reload, now, actions);
}

void Placement::timer(bool may_keep, Time now, std::vector<Action>& actions) {
  std::set<NodeId> late;
  bool replan_now = false;
  if (state_ != PlanState::kServing) {
    for (const auto& [node, hosted] : hosted_) {
      if (!hosted.ready && now >= hosted.load_started + limits_.load_wait_max) late.insert(node);
    }
  }
  for (const NodeId& node : late) {
    replan_now = replan_now || in_plan(node);
    actions.emplace_back(DropStage{node, hosted_.at(node).stage});
    fail_node(node,
              fmt::format("not ready after {} minutes",
                          std::chrono::duration_cast<std::chrono::minutes>(limits_.load_wait_max).count()),
              now);
  }
  if (state_ == PlanState::kNone) {
    replan_now = replan_now || (settle_at_ && now >= *settle_at_);
    for (const auto& [id, node] : nodes_) {
      replan_now = replan_now || (usable(node, now) && node.usable_at > planned_at_);
    }
  }
  if (replan_now) replan(may_keep, now, actions);
}

std::optional<Time> Placement::next_due() const {
  std::optional<Time> due;
  const auto consider = [&](Time at) { due = due ? std::min(*due, at) : at; };
  if (state_ == PlanState::kServing) return due;
  for (const auto& [node, hosted] : hosted_) {
    if (!hosted.ready) consider(hosted.load_started + limits_.load_wait_max);
  }
  if (state_ == PlanState::kLoading) return due;
  if (settle_at_) consider(*settle_at_);
  for (const auto& [id, node] : nodes_) {
    if (node.failures < limits_.stage_tries_max && node.usable_at > planned_at_) consider(node.usable_at);
  }
  return due;
}

Error Placement::why_none() const {
  if (why_none_ && !(settle_at_ && why_none_->code == ErrorCode::kUnavailable)) return *why_none_;
  if (nodes_.empty()) return plan::no_node(model_);
  return {ErrorCode::kUnavailable, fmt::format("{} nodes are there; the plan is about to be made", nodes_.size())};
}

}  // namespace shoal::sched
