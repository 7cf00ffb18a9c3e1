#include "sim/world.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t kLoadFailuresMax = 2;  // a phone may fail so often: one try fewer than the scheduler's patience
constexpr std::size_t kEarlyStepsMax = 64;

}  // namespace

void World::start(std::size_t index) {
  Phone& phone = phones_[index];
  if (phone.alive) return;
  phone.alive = true;
  ++phone.life;
  note(7, index);
  send(index + 1, kCoordinator, [this, index] {
    say("{} joins", phones_[index].profile.name);
    phones_[index].joined = true;
    phones_[index].joined_life = phones_[index].life;
    tell(NodeJoined{phones_[index].profile, phones_[index].paused});
  });
}

// `noticed`: the coordinator learns of it by itself; else only when the phone joins again or after a while.
void World::kill(std::size_t index, bool noticed) {
  Phone& phone = phones_[index];
  if (!phone.alive) return;
  phone.alive = false;
  const std::uint64_t life = ++phone.life;  // stays until it starts again
  phone.forget();
  ++report_.nodes_lost;
  note(8, index);
  say("{} dies", phone.profile.name);
  queue_.after(noticed ? milliseconds(between(1, 200)) : milliseconds(1500), [this, index, life] {
    if (phones_[index].life != life || !std::exchange(phones_[index].joined, false)) return;
    say("{} is lost", phones_[index].profile.name);
    tell(NodeLost{phones_[index].profile.node});
  });
}

void World::pause(std::size_t index, bool paused) {
  Phone& phone = phones_[index];
  if (std::exchange(phone.paused, paused) == paused) return;
  say("{} is {}", phone.profile.name, paused ? "paused" : "resumed");
  if (phone.joined) tell(NodePaused{phone.profile.node, paused});
}

void World::load(std::size_t index, const LoadStage& action) {
  Phone& phone = phones_[index];
  phone.stages.erase(action.stage);
  phone.stages.emplace(action.stage, Phone::Stage{FakeStage(action.range, limits_.settings), false, {}});
  const bool fails = options_.faults && queue_.now() < Time(options_.faults_until) &&
                     phone.load_failures < kLoadFailuresMax && chance(5);
  phone.load_failures += fails;
  queue_.after(milliseconds(between(50, 2000)), [this, index, stage = action.stage, fails, life = phone.life] {
    Phone& later = phones_[index];
    const auto found = later.stages.find(stage);
    if (later.life != life || found == later.stages.end()) return;
    found->second.ready = !fails;
    if (fails) {
      ++report_.stages_failed;
      later.stages.erase(found);
    }
    send(index + 1, kCoordinator, [this, index, stage, fails] {
      say("{}: stage {} {}", phones_[index].profile.name, stage.value, fails ? "failed" : "is ready");
      if (fails) {
        tell(StageFailed{stage, ErrorCode::kCorrupt, "shard is corrupt"});
      } else {
        tell(StageReady{stage});
      }
    });
  });
}

void World::see_plan(std::size_t index, const PlannedPlan& plan) {
  Phone& phone = phones_[index];
  if (plan.epoch <= phone.plan.epoch) return;
  phone.plan = plan;
  for (FakeStep& step : std::exchange(phone.early, {})) arrive(index, std::move(step));
}

void World::arrive(std::size_t index, FakeStep step) {
  Phone& phone = phones_[index];
  if (step.epoch > phone.plan.epoch) {  // its plan is on its way by another link
    if (phone.early.size() < kEarlyStepsMax) phone.early.push_back(std::move(step));
    return;
  }
  const auto place = phone.place_in_plan();
  if (step.epoch < phone.plan.epoch || !place) return;
  const std::uint32_t layers = phone.plan.stages[*place].range.count();
  const Duration cost = phone.per_step + phone.per_row_layer * static_cast<std::int64_t>(layers * step.rows.size());
  phone.busy_until = std::max(phone.busy_until, queue_.now()) + cost;
  step.computed.push_back({phone.plan.stages[*place].stage, cost});
  // What is in the queue when a new plan comes is computed still, but goes nowhere.
  queue_.at(phone.busy_until, [this, index, place = *place, stage = phone.plan.stages[*place].stage, life = phone.life,
                               step = std::move(step)] {
    if (phones_[index].life == life) compute(index, place, stage, step);
  });
}

void World::compute(std::size_t index, std::size_t place, StageId stage, FakeStep step) {
  Phone& phone = phones_[index];
  const bool stale = phone.plan.epoch != step.epoch;
  const auto found = phone.stages.find(stage);
  if (stale && found == phone.stages.end()) return;
  StageFault fault = StageFault::kNone;
  if (options_.stage_fault != StageFault::kNone && ++stage_steps_ >= options_.stage_fault_at) {
    fault = options_.stage_fault;
  }
  Status status = Error{ErrorCode::kUnavailable, "the stage is not loaded"};
  if (found != phone.stages.end() && found->second.ready) {
    status = found->second.fake.compute(step.frees, step.rows, fault, step.truncations, step.forks);
  }
  if (stale) {
    if (status.ok()) phone.write_journal(found->second, step);
    return;
  }
  if (!status.ok()) {
    ++report_.steps_failed;
    say("{}: step {} failed: {}", phone.profile.name, step.step.value, status.error().message);
    // A phone that the new plan leaves out learns of it only by losing its stage: what it says of the old epoch is
    // stale.
    if (report_.steps_lost == 0 && step.epoch == epoch_) {
      checker_.violation("a stage refuses a step: " + status.error().message);
    }
    send(index + 1, kCoordinator, [this, epoch = step.epoch, id = step.step, error = status.error()] {
      tell(StepFailed{epoch, id, error.code, error.message});
    });
    return;
  }
  if (lose_steps_ > 0) {
    --lose_steps_;
    ++report_.steps_lost;
    say("step {} is lost behind {}", step.step.value, phone.profile.name);
    return;
  }
  phone.write_journal(found->second, step);
  if (place + 1 == phone.plan.stages.size() || stage == step.ends_at) {
    send(index + 1, kCoordinator, [this, step = std::move(step)] { step_came_back(step); });
    return;
  }
  const std::size_t next = phone_of(phone.plan.stages[place + 1].node);
  send(index + 1, next + 1, [this, next, step = std::move(step)] { arrive(next, step); });
}

}  // namespace shoal::sim
