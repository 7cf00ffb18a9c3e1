#include "sim/pace.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

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

std::vector<std::string> Pace::actions(const std::vector<Action>& actions, const Snapshot& after, bool overdue,
                                       Time now) {
  std::vector<std::string> wrong;
  if (failed_) {
    Failures& failures = (failed_->beside ? failures_beside_ : failures_)[failed_->node];
    ++failures.count;
    failures.last = now;
    failed_.reset();
  }
  // One begins, goes on or ends: what it loads, and its plan.
  const bool begins = !after.move.empty() && after.move != move_;
  const bool moves = begins || !move_.empty() || after.moves != moves_;
  move_ = after.move;
  moves_ = after.moves;
  if (begins && healed_ && now >= *healed_ && ++moves_healed_ > kMovesHealedMax) {
    wrong.emplace_back("the plan moves to and fro, though the shoal must have healed");
  }
  cause_ = cause_ || moves || (timer_ && (state_ != PlanState::kServing || overdue));
  std::size_t plans = 0;
  std::map<NodeId, std::size_t> loads;
  for (const Action& action : actions) {
    if (std::holds_alternative<PublishPlan>(action)) {
      change("a new plan", moves, now, wrong);
      if (++plans > kPlansForOneEvent) wrong.push_back(fmt::format("{} plans for one event", plans));
      if (epochs_.add(now) > kChangesInAMinuteMax) wrong.emplace_back("the plan changes again and again");
    } else if (const auto* order = std::get_if<LoadStage>(&action)) {
      change("an order to load", moves, now, wrong);
      if (++loads[order->node] > kLoadsForOneEvent)
        wrong.emplace_back("a node is told to load again and again at once");
      load(*order, plans == 0 && moves, now, wrong);
    } else if (const auto* drop = std::get_if<DropStage>(&action)) {
      hosts_.erase(drop->stage);
    }
  }
  const bool serves_anew = after.state == PlanState::kServing && (plans > 0 || state_ != PlanState::kServing);
  if (serves_anew && after.plan) {
    for (const PlannedPlan::Stage& stage : after.plan->stages) {
      failures_[stage.node].count = failures_beside_[stage.node].count = 0;
    }
  }
  state_ = after.state;
  return wrong;
}

void Pace::change(const char* what, bool moves, Time now, std::vector<std::string>& wrong) {
  if (!moves) last_change_ = now;
  if (!cause_) wrong.push_back(fmt::format("{}, though nothing has happened that calls for it", what));
  if (healed_ && !moves && now >= *healed_) wrong.push_back(fmt::format("{}, though the shoal must have healed", what));
}

void Pace::load(const LoadStage& action, bool moves, Time now, std::vector<std::string>& wrong) {
  hosts_[action.stage] = {action.node, moves};
  const std::size_t count = loads_[action.node].add(now);
  loads_max_ = std::max(loads_max_, count);
  if (count > kChangesInAMinuteMax) wrong.emplace_back("a node is told to load again and again");
  check_tries(failures_, action.node, now, wrong);
  if (moves) check_tries(failures_beside_, action.node, now, wrong);
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
  move_.clear();
  moves_ = 0;
  state_ = PlanState::kNone;
  hosts_.clear();
  failures_.clear();
  failures_beside_.clear();
}

}  // namespace shoal::sim
