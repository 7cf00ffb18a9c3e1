#include "sim/pace.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "sched/balance.h"

namespace shoal::sim {

using namespace sched;

namespace {

constexpr std::size_t kPlansForOneEvent = 2;
constexpr std::size_t kLoadsForOneEvent = 2;  // for one node

}  // namespace

std::size_t Pace::Window::add(Time now) {
  times.push_back(now);
  while (times.front() + std::chrono::minutes(1) < now) times.pop_front();
  most = std::max(most, times.size());
  return times.size();
}

void Pace::event(const Event& event, bool breaks_a_step) {
  timer_ = std::holds_alternative<Timer>(event);
  cause_ = breaks_a_step || std::holds_alternative<NodeJoined>(event) || std::holds_alternative<NodeLost>(event) ||
           std::holds_alternative<NodePaused>(event) || std::holds_alternative<StageReady>(event) ||
           std::holds_alternative<StageFailed>(event);
  const auto* paused = std::get_if<NodePaused>(&event);
  joined_ = joined_ || std::holds_alternative<NodeJoined>(event) || (paused && !paused->paused);
  for (std::map<NodeId, Failures>* failures : {&failures_, &failures_beside_}) {
    if (const auto* joined = std::get_if<NodeJoined>(&event)) failures->erase(joined->profile.node);
    if (const auto* lost = std::get_if<NodeLost>(&event)) failures->erase(lost->node);
  }
  if (const auto* failed = std::get_if<StageFailed>(&event)) {
    const auto host = hosts_.find(failed->stage);
    if (host == hosts_.end()) return;  // a shard that was not fetched, or told again
    failed_ = host->second;
    hosts_.erase(host);
  }
}

// What each lane may do by this event.
void Pace::look_at_lanes(const Snapshot& after, const std::vector<bool>& overdue, Time now,
                         std::vector<std::string>& wrong) {
  lanes_.resize(overdue.size());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    const Snapshot& seen = after.lanes.empty() ? after : after.lanes.at(i);
    // One begins, goes on or ends: what it loads, and its plan.
    lane.begins = !seen.move.empty() && seen.move != lane.move;
    lane.is_moving = lane.begins || !lane.move.empty() || seen.moves != lane.moves;
    lane.move = seen.move;
    lane.moves = seen.moves;
    lane.plans = 0;
    if (lane.begins && healed_ && now >= *healed_ && ++lane.moves_healed > kMovesHealedMax) {
      wrong.emplace_back("the plan moves to and fro, though the shoal must have healed");
    }
    lane.may_change = cause_ || lane.is_moving || (timer_ && (lane.state != PlanState::kServing || overdue[i]));
  }
}

std::vector<std::string> Pace::actions(const std::vector<Action>& actions, const Snapshot& after,
                                       const std::vector<bool>& overdue, std::size_t open, Time now) {
  std::vector<std::string> wrong;
  if (failed_) {
    Failures& failures = (failed_->beside ? failures_beside_ : failures_)[failed_->node];
    ++failures.count;
    failures.last = now;
    failed_.reset();
  }
  look_at_lanes(after, overdue, now, wrong);
  divides_ = false;
  std::map<StageId, Lane*> of_plans;
  std::map<NodeId, std::size_t> loads;
  for (const Action& action : actions) {
    if (const auto* plan = std::get_if<PublishPlan>(&action)) {
      Lane& lane = lanes_.at(plan->plan.lane);
      publish(lane, now, wrong);
      for (const PlannedPlan::Stage& stage : plan->plan.stages) of_plans[stage.stage] = &lane;
    } else if (const auto* withdrawn = std::get_if<WithdrawPlan>(&action)) {
      withdraw(lanes_.at(withdrawn->lane), open, now, wrong);
    } else if (const auto* order = std::get_if<LoadStage>(&action)) {
      const auto lane = of_plans.find(order->stage);
      if (++loads[order->node] > kLoadsForOneEvent)
        wrong.emplace_back("a node is told to load again and again at once");
      load(*order, lane == of_plans.end() ? nullptr : lane->second, now, wrong);
    } else if (const auto* drop = std::get_if<DropStage>(&action)) {
      hosts_.erase(drop->stage);
    }
  }
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Snapshot& seen = after.lanes.empty() ? after : after.lanes.at(i);
    const bool anew = lanes_[i].plans > 0 || lanes_[i].state != PlanState::kServing;
    if (seen.state == PlanState::kServing && anew && seen.plan) serve(seen);
    lanes_[i].state = seen.state;
  }
  return wrong;
}

// Whoever serves is trusted again.
void Pace::serve(const Snapshot& after) {
  for (const PlannedPlan::Stage& stage : after.plan->stages) {
    failures_[stage.node].count = failures_beside_[stage.node].count = 0;
  }
}

void Pace::publish(Lane& lane, Time now, std::vector<std::string>& wrong) {
  change("a new plan", lane.is_moving, lane.may_change, lane.owed > 0, now, wrong);
  if (++lane.plans > kPlansForOneEvent) wrong.push_back(fmt::format("{} plans for one event", lane.plans));
  if (lane.owed > 0) --lane.owed;
  if (epochs_.add(now) > kChangesInAMinuteMax * lanes_.size()) wrong.emplace_back("the plan changes again and again");
}

// It died by something that breaks a plan, or because nodes are divided anew.
void Pace::withdraw(Lane& lane, std::size_t open, Time now, std::vector<std::string>& wrong) {
  if (cause_ || (timer_ && lane.state == PlanState::kLoading)) {
    joined_ = true;
    return change("a plan's end", false, true, false, now, wrong);
  }
  if (divides_) return;
  divides_ = true;
  last_change_ = now;
  if (open > 0 || lanes_.size() == 1) wrong.emplace_back("a plan ends, though nothing has happened that calls for it");
  if (!std::exchange(joined_, false)) wrong.emplace_back("all is divided anew, and no node has come");
  if (healed_ && now >= *healed_ && ++divisions_healed_ > 1) wrong.emplace_back("all is divided anew again and again");
  for (Lane& each : lanes_) each.owed = 1;
}

// `owed`: by a division of all nodes.
void Pace::change(const char* what, bool moves, bool may_change, bool owed, Time now, std::vector<std::string>& wrong) {
  if (!moves) last_change_ = now;
  if (!may_change) wrong.push_back(fmt::format("{}, though nothing has happened that calls for it", what));
  if (healed_ && !moves && !owed && now >= *healed_) {
    wrong.push_back(fmt::format("{}, though the shoal must have healed", what));
  }
}

// `of_plan`: the lane of the plan that it comes with; nullptr: of none, so it is for a move.
void Pace::load(const LoadStage& action, const Lane* of_plan, Time now, std::vector<std::string>& wrong) {
  const bool any_moves = std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.is_moving; });
  const bool beside = of_plan == nullptr && any_moves;
  const bool moves = of_plan == nullptr ? any_moves : of_plan->is_moving;
  // With a plan it is judged by that.
  if (of_plan == nullptr) change("an order to load", moves, cause_ || any_moves, false, now, wrong);
  hosts_[action.stage] = {action.node, beside};
  const std::size_t count = loads_[action.node].add(now);
  loads_max_ = std::max(loads_max_, count);
  if (count > kChangesInAMinuteMax) wrong.emplace_back("a node is told to load again and again");
  check_tries(failures_, action.node, now, wrong);
  if (beside) check_tries(failures_beside_, action.node, now, wrong);
}

std::vector<std::string> Pace::moved(std::uint64_t request, bool freely, Time now) {
  std::vector<std::string> wrong;
  Mover& mover = movers_[request];
  const std::size_t in_a_minute = mover.all.add(now);
  moves_of_a_request_max_ = std::max(moves_of_a_request_max_, in_a_minute);
  if (in_a_minute > kMovesOfARequestMax) wrong.push_back(fmt::format("request {} moves to and fro", request));
  if (!freely) return wrong;
  ++moved_freely_;
  if (now < may_move_again(mover.freely_at, mover.freely)) {
    wrong.push_back(fmt::format("request {} moves again too soon", request));
  }
  ++mover.freely;
  mover.freely_at = now;
  return wrong;
}

void Pace::check_tries(const std::map<NodeId, Failures>& failures, NodeId node, Time now,
                       std::vector<std::string>& wrong) const {
  const auto failed = failures.find(node);
  if (failed == failures.end()) return;
  if (failed->second.count >= limits_.stage_tries_max) {
    wrong.push_back(fmt::format("a node is told to load after {} failures", failed->second.count));
  }
  if (failed->second.count > 0 && now < failed->second.last + limits_.stage_retry_after) {
    wrong.emplace_back("a node is told to load too soon after a failure");
  }
}

void Pace::restart() {
  lanes_.clear();
  joined_ = false;
  hosts_.clear();
  failures_.clear();
  failures_beside_.clear();
}

}  // namespace shoal::sim
