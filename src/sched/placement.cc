#include "sched/placement.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace shoal::sched {
namespace {

constexpr int kSettleMax = 10;  // joins put planning off for so many times plan_settle at the most

}  // namespace

bool Placement::in_plan(NodeId node) const {
  return state_ != PlanState::kNone && std::any_of(plan_.stages.begin(), plan_.stages.end(),
                                                   [&](const PlannedPlan::Stage& stage) { return stage.node == node; });
}

void Placement::join(const NodeJoined& event, bool may_keep, Time now, std::vector<Action>& actions) {
  const NodeId id = event.profile.node;
  if (nodes_.contains(id)) lose(id, may_keep, now, actions);
  take({event.profile, event.paused, 1, 0, Time{}, on_flash_[id]}, now);
}

void Placement::take(Member member, Time now) {
  const NodeId id = member.profile.node;
  on_flash_[id] = std::move(member.on_flash);
  nodes_[id] = {
      std::move(member.profile), member.failures, member.usable_at, member.paused, member.share, 0, Time{}, {}};
  fetch_due_ = moves_due_ = true;
  if (state_ != PlanState::kNone) return look_for_move(now + limits_.plan_settle);
  if (!settle_at_) settle_latest_ = now + limits_.plan_settle * kSettleMax;
  settle_at_ = std::min(now + limits_.plan_settle, settle_latest_);
}

Member Placement::release(NodeId node, Time now, std::vector<Action>& actions) {
  SHOAL_ASSERT(!in_plan(node));
  forget_fetch(node, actions);
  if (beside_.contains(node)) give_up_move(now, actions);
  if (const auto hosted = hosted_.find(node); hosted != hosted_.end()) {
    actions.emplace_back(DropStage{node, hosted->second.stage});
    host_of_.erase(hosted->second.stage);
    hosted_.erase(hosted);
  }
  Node& known = nodes_.at(node);
  Member member{std::move(known.profile), known.paused, known.share, known.failures, known.usable_at, {}};
  if (const auto flash = on_flash_.extract(node)) member.on_flash = std::move(flash.mapped());
  nodes_.erase(node);
  moves_due_ = true;
  return member;
}

std::vector<Member> Placement::dissolve(Time now, std::vector<Action>& actions) {
  if (move_) give_up_move(now, actions);
  become_none({ErrorCode::kUnavailable, "its nodes serve elsewhere"}, now);
  plan_.stages.clear();
  settle_at_.reset();
  std::vector<Member> members;
  while (!nodes_.empty()) members.push_back(release(nodes_.begin()->first, now, actions));
  return members;
}

std::vector<plan::NodeProfile> Placement::spare_nodes(Time now) const {
  std::vector<plan::NodeProfile> spare;
  for (const auto& [id, node] : nodes_) {
    if (usable(node, now) && !in_plan(id) && !beside_.contains(id)) spare.push_back(profile_of(node));
  }
  return spare;
}

bool Placement::leaves_some_out(Time now) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& item) {
    const Node& node = item.second;
    return !node.paused && node.failures < limits_.stage_tries_max && now < node.usable_at;
  });
}

double Placement::share() const {
  double least = 1;
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    if (const auto found = nodes_.find(stage.node); found != nodes_.end()) least = std::min(least, found->second.share);
  }
  return least;
}

void Placement::lose(NodeId node, bool may_keep, Time now, std::vector<Action>& actions) {
  if (nodes_.erase(node) == 0) return;
  if (fetch_ && fetch_->node == node) end_fetch(false);
  moves_due_ = true;
  const bool planned = in_plan(node);
  for (std::map<NodeId, Hosted>* hosts : {&hosted_, &beside_}) {
    const auto found = hosts->find(node);
    if (found == hosts->end()) continue;
    host_of_.erase(found->second.stage);
    hosts->erase(found);
  }
  if (planned) replan(may_keep, now, actions);
}

void Placement::ready(StageId stage) {
  const auto host = host_of_.find(stage);
  if (host == host_of_.end()) return;
  const auto beside = beside_.find(host->second);
  const bool for_move = beside != beside_.end() && beside->second.stage == stage;
  Hosted& hosted = for_move ? beside->second : hosted_.at(host->second);
  if (hosted.ready) return;
  hosted.ready = true;
  on_flash_[host->second].insert(hosted.range);
  moves_due_ = true;
  if (for_move || state_ != PlanState::kLoading) return;
  --stages_loading_;
  serve_if_ready();
}

void Placement::serve_if_ready() {
  if (stages_loading_ > 0) return;
  state_ = PlanState::kServing;
  served_once_ = fetch_due_ = moves_due_ = true;
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    nodes_.at(stage.node).failures = nodes_.at(stage.node).beside_failures = 0;
  }
}

void Placement::failed(const StageFailed& event, bool may_keep, Time now, std::vector<Action>& actions) {
  if (fetch_ && fetch_->stage == event.stage) return end_fetch(true);
  const auto host = host_of_.find(event.stage);
  if (host == host_of_.end()) return;
  const NodeId node = host->second;
  if (const auto beside = beside_.find(node); beside != beside_.end() && beside->second.stage == event.stage) {
    return fail_beside(node, event.message, now, actions);
  }
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
  last_failure_ = failed.profile.label() + ": " + message;
  moves_due_ = true;
}

void Placement::replan(bool may_keep, Time now, std::vector<Action>& actions) {
  planned_at_ = now;
  settle_at_.reset();
  std::vector<plan::NodeProfile> candidates = usable_nodes(now);
  std::size_t left_out = 0;
  std::size_t paused = 0;
  for (const auto& [id, node] : nodes_) {
    left_out += !node.paused && !works(node, now);
    paused += node.paused;
  }
  if (nodes_.empty()) {
    return become_none(plan::no_node(model_), now);
  }
  if (!served_once_ && nodes_.size() < limits_.nodes_min) {
    return become_none({ErrorCode::kUnavailable, fmt::format("{} of {} nodes are there; waiting for the others",
                                                             nodes_.size(), limits_.nodes_min)},
                       now);
  }
  if (repair(may_keep, now, actions)) return;
  if (candidates.empty()) {
    return become_none({ErrorCode::kUnavailable,
                        left_out == 0 ? std::string("all nodes are paused or drained: `shoal status` says why")
                                      : fmt::format("all nodes failed to load their layers; {}", last_failure_)},
                       now);
  }
  auto plan = plan::make_plan(model_, std::move(candidates), rules());
  if (!plan.ok()) {
    Error error = std::move(plan).error();
    if (left_out > 0) error.message += fmt::format(" ({} left out after failing to load: {})", left_out, last_failure_);
    if (paused > 0) error.message += fmt::format(" ({} paused or drained)", paused);
    return become_none(std::move(error), now);
  }
  adopt(plan->stages, std::move(plan->explanation), may_keep, now, actions);
}

const Placement::Node* Placement::best_spare(const PlannedPlan::Stage& stage, const std::set<NodeId>& taken,
                                             Time now) const {
  const plan::PlanRules family = rules();
  const auto rank = [&](const Node& node) {
    const NodeId id = node.profile.node;
    const Hosted* loaded = prepared(id, stage.range);
    return std::tuple(node.profile.kernel_family == family_, loaded && loaded->ready, loaded != nullptr,
                      has_on_flash(id, stage.range), node.profile.memory_bytes_max);
  };
  const Node* best = nullptr;
  for (const auto& [id, node] : nodes_) {
    if (taken.contains(id) || !usable(node, now) || node.profile.memory_bytes_max < stage.memory_bytes) continue;
    if (family.one_kernel_family && node.profile.kernel_family != family_) continue;
    if (best == nullptr || rank(node) > rank(*best)) best = &node;
  }
  return best;
}

// A paused node stays until somebody else has its stage ready: better it than nobody.
bool Placement::repair(bool may_keep, Time now, std::vector<Action>& actions) {
  const bool one_family = rules().one_kernel_family;  // a node may have come back with other kernels
  const auto stays = [&](const PlannedPlan::Stage& stage) {
    const auto found = nodes_.find(stage.node);
    return found != nodes_.end() && works(found->second, now) &&
           (!one_family || found->second.profile.kernel_family == family_);
  };
  std::set<NodeId> taken;
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    if (stays(stage)) taken.insert(stage.node);
  }
  if (taken.empty()) return false;
  std::vector<plan::PlannedStage> stages;
  std::string explanation;
  for (const PlannedPlan::Stage& stage : plan_.stages) {
    stages.push_back({stage.node, stage.range, stage.memory_bytes});
    const bool is_there = stays(stage);
    if (is_there && !nodes_.at(stage.node).paused) continue;
    const Node* spare = best_spare(stage, taken, now);
    if (spare == nullptr && !is_there) return false;
    const Hosted* loaded = spare ? prepared(spare->profile.node, stage.range) : nullptr;
    if (spare == nullptr || (is_there && !(loaded && loaded->ready))) continue;
    stages.back().node = spare->profile.node;
    taken.insert(spare->profile.node);
    explanation += fmt::format("{}{} takes layers {}-{}", explanation.empty() ? "" : ", ", spare->profile.label(),
                               stage.range.first, stage.range.last - 1);
  }
  explanation += explanation.empty() ? "the plan as it was" : "; the other stages stay";
  adopt(stages, std::move(explanation), may_keep, now, actions);
  return true;
}

plan::PlanRules Placement::rules() const {
  plan::PlanRules rules;
  rules.spares = limits_.spares;
  rules.one_kernel_family = limits_.settings.exact == ExactMode::kOn;
  if (family_held_) rules.kernel_family = family_;
  return rules;
}

// A plan that is exact does not become one that is not, to be quicker.
plan::PlanRules Placement::rules_of_moves() const {
  plan::PlanRules of_moves = rules();
  const bool one_family = std::all_of(plan_.stages.begin(), plan_.stages.end(), [this](const auto& stage) {
    return nodes_.at(stage.node).profile.kernel_family == family_;
  });
  if (limits_.settings.exact != ExactMode::kAuto || !one_family) return of_moves;
  of_moves.one_kernel_family = true;
  of_moves.kernel_family = family_;
  return of_moves;
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
                      std::vector<Action>& actions, std::string why) {
  std::map<NodeId, LayerRange> wanted;
  for (const plan::PlannedStage& stage : stages) wanted[stage.node] = stage.range;
  std::vector<Action> drops;  // told after the plan, so that nodes know old steps as old before their stage is gone
  std::map<NodeId, Hosted> kept;
  const auto keep_or_drop = [&](const std::map<NodeId, Hosted>& hosts, bool may) {
    for (const auto& [node, hosted] : hosts) {
      const auto found = wanted.find(node);
      if (may && found != wanted.end() && found->second == hosted.range && kept.try_emplace(node, hosted).second) {
        continue;
      }
      drops.emplace_back(DropStage{node, hosted.stage});
      host_of_.erase(hosted.stage);
    }
  };
  keep_or_drop(hosted_, may_keep);
  keeps_kv_ = !kept.empty();
  keep_or_drop(beside_, true);
  hosted_ = std::move(kept);
  beside_.clear();
  move_.reset();

  // What the new plan has to load goes first, and the node may be in it.
  if (fetch_) {
    drops.emplace_back(DropStage{fetch_->node, fetch_->stage});
    end_fetch(false);
  }
  if (!stages.empty()) family_ = nodes_.at(stages.front().node).profile.kernel_family;
  epoch_ = {++numbers_.epochs};
  changed_at_ = now;
  plan_ = {epoch_, {}, std::move(explanation), std::move(why), lane_};
  stages_loading_ = 0;
  std::vector<Action> loads;
  for (const plan::PlannedStage& stage : stages) {
    if (!hosted_.contains(stage.node)) hosted_[stage.node] = load(stage, now, loads);
    const Hosted& hosted = hosted_.at(stage.node);
    stages_loading_ += !hosted.ready;
    plan_.stages.push_back({stage.node, hosted.stage, stage.range, stage.memory_bytes});
  }
  forget_shards_of_other_plans();
  state_ = PlanState::kLoading;
  why_none_.reset();
  actions.emplace_back(PublishPlan{plan_});
  std::move(drops.begin(), drops.end(), std::back_inserter(actions));
  std::move(loads.begin(), loads.end(), std::back_inserter(actions));
  serve_if_ready();
}

Placement::Hosted Placement::load(const plan::PlannedStage& stage, Time now, std::vector<Action>& loads) {
  const StageId id{++numbers_.stages};
  host_of_[id] = stage.node;
  loads.emplace_back(LoadStage{stage.node, id, stage.range, lane_});
  return {id, stage.range, stage.memory_bytes, false, now};
}

void Placement::restart(bool reload, Time now, std::vector<Action>& actions) {
  SHOAL_ASSERT(state_ == PlanState::kServing);
  std::vector<plan::PlannedStage> same;
  for (const PlannedPlan::Stage& stage : plan_.stages) same.push_back({stage.node, stage.range, stage.memory_bytes});
  // A move goes on.
  auto move = std::exchange(move_, std::nullopt);
  auto beside = std::exchange(beside_, {});
  adopt(same, plan_.explanation, !reload, now, actions);
  move_ = std::move(move);
  beside_ = std::move(beside);
}

void Placement::timer(bool may_keep, Time now, std::vector<Action>& actions) {
  const auto late_in = [&](const std::map<NodeId, Hosted>& hosts) {
    std::map<NodeId, StageId> late;
    for (const auto& [node, hosted] : hosts) {
      if (!hosted.ready && now >= hosted.load_started + limits_.load_wait_max) late[node] = hosted.stage;
    }
    return late;
  };
  const std::string why = fmt::format("not ready after {} minutes",
                                      std::chrono::duration_cast<std::chrono::minutes>(limits_.load_wait_max).count());
  bool replan_now = false;
  for (const auto& [node, stage] : late_in(beside_)) {
    if (!beside_.contains(node)) continue;  // given up with the one before
    actions.emplace_back(DropStage{node, stage});
    fail_beside(node, why, now, actions);
  }
  for (const auto& [node, stage] : late_in(hosted_)) {
    replan_now = replan_now || in_plan(node);
    actions.emplace_back(DropStage{node, stage});
    fail_node(node, why, now);
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
  for (const std::map<NodeId, Hosted>* hosts : {&hosted_, &beside_}) {
    for (const auto& [node, hosted] : *hosts) {
      if (!hosted.ready) consider(hosted.load_started + limits_.load_wait_max);
    }
  }
  if (state_ == PlanState::kServing && look_at_) consider(*look_at_);
  if (state_ != PlanState::kNone) return due;
  if (settle_at_) consider(*settle_at_);
  for (const auto& [id, node] : nodes_) {
    if (!node.paused && node.failures < limits_.stage_tries_max && node.usable_at > planned_at_)
      consider(node.usable_at);
  }
  return due;
}

Error Placement::why_none() const {
  if (why_none_ && !(settle_at_ && why_none_->code == ErrorCode::kUnavailable)) return *why_none_;
  if (nodes_.empty()) return plan::no_node(model_);
  return {ErrorCode::kUnavailable, fmt::format("{} nodes are there; the plan is about to be made", nodes_.size())};
}

}  // namespace shoal::sched
