// What Checker knows of faults: whose step failed, who waits for what, and that all is well again when they have
// stopped.
#include "sim/checker.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;

// --- of a lane ---

void LaneChecker::begin_event() {
  breaks_a_step_ = step_back_ = refill_back_ = late_ = false;
}

void LaneChecker::done(const StepDone& event) {
  if (event.epoch != epoch_) return;
  const auto found = in_flight_.find(event.step);
  // Of a plan that is lost already it confirms nothing.
  if (refills_.erase(event.step) > 0) refill_back_ = true;
  if (found == in_flight_.end() || !has_plan_) return;
  if (found != in_flight_.begin()) return blame(in_flight_.begin()->first);  // it is lost: the epoch is over
  for (SequenceId id : found->second.frees) resident_.erase(id);
  in_flight_.erase(found);
  step_back_ = true;
}

void LaneChecker::failed(const StepFailed& event) {
  if (event.epoch != epoch_ || state_ != PlanState::kServing) return;
  const bool missing = refills_.contains(event.step) && event.code == ErrorCode::kNotFound;
  if (!missing) return blame(event.step);
  refill_back_ = refills_.erase(event.step) > 0;
}

void LaneChecker::sampled(const TokenSampled& event) {
  const auto id = ids_.find(event.request);
  if (event.epoch != epoch_ || id == ids_.end()) return;
  if (in_flight_.contains(event.step)) return;  // tokens of a step that is not back mean nothing
  if (const auto kv = kv_.find(id->second); kv != kv_.end()) kv->second.awaited.erase(event.step);
}

void LaneChecker::drafted(const Drafted& event) {
  if (event.ask == ask_open_) ask_open_ = 0;
}

// Its sequences are blamed for a failed step.
void LaneChecker::blame(StepId step) {
  const auto blame_request = [this](std::uint64_t id) {
    if (const auto found = book_->requests.find(id); found != book_->requests.end()) ++found->second.blamed;
  };
  if (const auto found = in_flight_.find(step); found != in_flight_.end()) {
    breaks_a_step_ = true;
    for (const std::uint64_t request : found->second.requests) blame_request(request);
  } else if (const auto refill = refills_.find(step); refill != refills_.end()) {
    breaks_a_step_ = true;
    blame_request(refill->second);
  }
}

void LaneChecker::await_refill(StepId step, std::uint64_t request) {
  if (refills_.empty()) refill_waits_since_ = book_->now;
  refills_[step] = request;
}

// Some step has been awaited for too long.
bool LaneChecker::overdue() const {
  const auto late = [this](bool any, Time since) { return any && book_->now >= since + book_->limits.step_wait_max; };
  return state_ == PlanState::kServing &&
         (late(!in_flight_.empty(), waits_since_) || late(!refills_.empty(), refill_waits_since_));
}

void LaneChecker::judge(bool is_timer, bool new_plan) {
  if (step_back_) waits_since_ = book_->now;
  if (refill_back_) refill_waits_since_ = book_->now;
  late_ = is_timer && overdue();
  if (!late_ || !new_plan) return;
  if (!in_flight_.empty()) blame(in_flight_.begin()->first);
  if (!refills_.empty()) blame(refills_.begin()->first);
}

// --- of all ---

// How long nothing may come of open requests: without a plan they end after plan_wait_max; a stage that does not load
// is given up after load_wait_max; a lost step is missed after step_wait_max, and so is one after it, when all stages
// are loaded anew; links take 15 s to break and to be dialled again (World::heal_max).
Duration Checker::stall_max() const {
  return book_.limits.plan_wait_max + book_.limits.load_wait_max + 2 * book_.limits.step_wait_max +
         std::chrono::seconds(15);
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
  return book_.open(request) != nullptr;
}

std::vector<std::uint64_t> Checker::restart(Time now) {
  std::vector<std::uint64_t> open;
  for (auto& [id, request] : book_.requests) {
    if (!std::exchange(request.ended, true)) open.push_back(id);
  }
  interrupted_ += open.size();
  errors_ += open.size();
  open_ = 0;
  make_lanes();
  epochs_ = 0;
  loaded_.clear();
  lane_of_stage_.clear();
  fetching_.clear();
  book_.used.clear();
  book_.last_step = {};
  after_ = {};
  timers_for_now_ = 0;
  got_on_ = now;
  pace_.restart();
  return open;
}

void Checker::check_causes(const std::vector<Action>& actions, const Snapshot& after) {
  if (arrives_ != 0) {
    book_.requests.at(arrives_).arrived = book_.now;
    if (open_ == 1) got_on_ = book_.now;
  }
  std::set<std::uint32_t> new_plans;
  for (const Action& action : actions) {
    if (const auto* plan = std::get_if<PublishPlan>(&action)) new_plans.insert(plan->plan.lane);
  }
  std::vector<bool> late;
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].judge(is_timer_, new_plans.contains(i));
    late.push_back(lanes_[i].late());
  }
  if (!healed_) return;
  for (std::string& wrong : pace_.actions(actions, after, late, open_, book_.now)) violation(std::move(wrong));
}

}  // namespace shoal::sim
