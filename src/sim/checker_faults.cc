// What Checker knows of faults: whose step failed, who waits for what, and that all is well again when they have
// stopped.
#include "sim/checker.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;

// How long nothing may come of open requests: without a plan they end after plan_wait_max; a stage that does not load
// is given up after load_wait_max; a lost step is missed after step_wait_max, and so is one after it, when all stages
// are loaded anew; links take 15 s to break and to be dialled again (World::heal_max).
Duration Checker::stall_max() const {
  return limits_.plan_wait_max + limits_.load_wait_max + 2 * limits_.step_wait_max + std::chrono::seconds(15);
}

void Checker::healed_from(Time healed) {
  healed_ = healed;
  pace_.healed_from(healed);
}

void Checker::watch(Time now) {
  if (open_ == 0 || now < std::max(got_on_, disturbed_) + stall_max()) return;
  violation(fmt::format("{} requests are open, and nothing has come of them for {} s", open_,
                        std::chrono::duration_cast<std::chrono::seconds>(now - got_on_).count()));
}

bool Checker::is_open(std::uint64_t request) const {
  const auto found = requests_.find(request);
  return found != requests_.end() && !found->second.ended;
}

std::vector<std::uint64_t> Checker::restart(Time now) {
  std::vector<std::uint64_t> open;
  for (auto& [id, request] : requests_) {
    if (!std::exchange(request.ended, true)) open.push_back(id);
    request.sequence = {};
  }
  interrupted_ += open.size();
  errors_ += open.size();
  open_ = 0;
  epoch_ = {};
  stages_ = 0;
  first_step_ = true;
  loaded_.clear();
  in_plan_.clear();
  kv_.clear();
  before_.clear();
  refilled_.clear();
  fetching_.reset();
  used_.clear();
  in_flight_.clear();
  refills_.clear();
  resident_.clear();
  last_step_ = {};
  ask_open_ = 0;
  cells_ = 0;
  after_ = {};
  timers_for_now_ = 0;
  got_on_ = now;
  pace_.restart();
  return open;
}

// Its sequences are blamed for a failed step.
void Checker::blame(StepId step) {
  const auto blame_request = [this](std::uint64_t id) {
    if (const auto found = requests_.find(id); found != requests_.end()) ++found->second.blamed;
  };
  if (const auto found = in_flight_.find(step); found != in_flight_.end()) {
    breaks_a_step_ = true;
    for (const std::uint64_t request : found->second.requests) blame_request(request);
  } else if (const auto refill = refills_.find(step); refill != refills_.end()) {
    breaks_a_step_ = true;
    blame_request(refill->second);
  }
}

void Checker::await_refill(StepId step, std::uint64_t request) {
  if (refills_.empty()) refill_waits_since_ = now_;
  refills_[step] = request;
}

// Some step has been awaited for too long.
bool Checker::overdue() const {
  const auto late = [this](bool any, Time since) { return any && now_ >= since + limits_.step_wait_max; };
  return after_.state == PlanState::kServing &&
         (late(!in_flight_.empty(), waits_since_) || late(!refills_.empty(), refill_waits_since_));
}

void Checker::check_causes(const std::vector<Action>& actions, const Snapshot& after) {
  if (arrives_ != 0) {
    requests_.at(arrives_).arrived = now_;
    if (open_ == 1) got_on_ = now_;
  }
  if (step_back_) waits_since_ = now_;
  if (refill_back_) refill_waits_since_ = now_;
  const bool late = is_timer_ && overdue();
  const bool new_plan = std::any_of(actions.begin(), actions.end(),
                                    [](const Action& action) { return std::holds_alternative<PublishPlan>(action); });
  if (late && new_plan) {
    if (!in_flight_.empty()) blame(in_flight_.begin()->first);
    if (!refills_.empty()) blame(refills_.begin()->first);
  }
  if (!healed_) return;
  for (std::string& wrong : pace_.actions(actions, after, late, now_)) violation(std::move(wrong));
}

}  // namespace shoal::sim
