#include "sim/world.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t kLoadFailuresMax = 2;  // a phone may fail so often: one try fewer than the scheduler's patience
constexpr std::size_t kEarlyStepsMax = 64;
constexpr std::uint64_t kRefusalsPercent = 30;  // of the steps, where memory is lacking

}  // namespace

void World::start(std::size_t index) {
  Phone& phone = phones_[index];
  if (phone.alive) return;
  phone.alive = true;
  ++phone.life;
  note(7, index);
  if (options_.all_faults) {
    phone.retry_pause = milliseconds(200);
    phone.load_failures = 0;
    network_.begin(index + 1);
    return dial_coordinator(index);
  }
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
  note(8, index);
  say("{} dies", phone.profile.name);
  if (options_.all_faults) {
    phone.next = {};
    phone.accepted.clear();
    phone.control = 0;
    phone.last_sent = {};
    return network_.end(index + 1, !noticed);
  }
  ++report_.nodes_lost;
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
  std::uint64_t held = 0;
  for (const auto& [id, stage] : phone.stages) held += stage_bytes(stage.fake.range());
  if (held > phone.memory_bytes) {
    checker_.violation(
        fmt::format("{} holds {} bytes of stages, and has {}", phone.profile.name, held, phone.memory_bytes));
  }
  const bool may_fail = options_.faults && queue_.now() < Time(faults_until_) && phone.load_failures < kLoadFailuresMax;
  const bool fails = may_fail && (options_.all_faults ? phone.out_of_memory && chance(50) : chance(5));
  phone.load_failures += fails;
  later(index, milliseconds(between(50, 2000)), [this, index, id = action.stage, fails] {
    Phone& loading = phones_[index];
    const auto found = loading.stages.find(id);
    if (found == loading.stages.end()) return;
    found->second.ready = !fails;
    say("{}: stage {} {}", loading.profile.name, id.value, fails ? "failed" : "is ready");
    if (!fails) return hear(index, StageReady{id});
    ++report_.stages_failed;
    loading.stages.erase(found);
    const ErrorCode code = options_.all_faults ? ErrorCode::kResourceExhausted : ErrorCode::kCorrupt;
    hear(index, StageFailed{id, code, "the stage cannot be loaded"});
  });
}

std::uint64_t World::stage_bytes(LayerRange range) const {
  std::uint64_t bytes = model_.every_stage_bytes + (range.first == 0 ? model_.first_stage_bytes : 0) +
                        (range.last == model_.layer_count ? model_.last_stage_bytes : 0);
  for (std::uint32_t i = range.first; i < range.last; ++i) {
    bytes += model_.layer_weight_bytes[i] + (model_.layer_kv_bytes.empty() ? 0 : model_.layer_kv_bytes[i]);
  }
  return bytes;
}

void World::see_plan(std::size_t index, const PlannedPlan& plan) {
  Phone& phone = phones_[index];
  if (plan.epoch <= phone.plan.epoch) return;
  phone.plan = plan;
  if (options_.all_faults) link_to_next(index);
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
  if (options_.all_faults) {  // as node/stage_table.cc drops what is stale
    const auto stage = phone.stages.find(step.to);
    if (stage == phone.stages.end() || !stage->second.ready) return;
  }
  const std::uint32_t layers = phone.plan.stages[*place].range.count();
  const Duration cost = phone.per_step + phone.per_row_layer * static_cast<std::int64_t>(layers * step.rows.size());
  phone.busy_until = std::max(phone.busy_until, queue_.now()) + cost * phone.slowness;
  step.computed.push_back({phone.plan.stages[*place].stage, cost * phone.slowness});
  // What is in the queue when a new plan comes is computed still, but goes nowhere.
  later(index, phone.busy_until - queue_.now(),
        [this, index, place = *place, stage = phone.plan.stages[*place].stage, step = std::move(step)] {
          compute(index, place, stage, step);
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
  const bool refuses = phone.out_of_memory && chance(kRefusalsPercent);
  if (refuses) {
    status = Error{ErrorCode::kResourceExhausted, "out of memory"};
  } else if (found != phone.stages.end() && found->second.ready) {
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
    Lane* lane = lane_of(step.epoch);
    if (refuses && lane) lane->refused = step.epoch;  // what stands on that step is refused, too
    if (report_.steps_lost == 0 && lane && lane->refused != step.epoch) {
      checker_.violation("a stage refuses a step: " + status.error().message);
    }
    return hear(index, StepFailed{step.epoch, step.step, status.error().code, status.error().message});
  }
  if (lose_steps_ > 0) {
    --lose_steps_;
    ++report_.steps_lost;
    say("step {} is lost behind {}", step.step.value, phone.profile.name);
    return;
  }
  phone.write_journal(found->second, step);
  if (place + 1 == phone.plan.stages.size() || stage == step.ends_at) {
    const bool repeats = phone.repeats_itself;
    send(index + 1, kCoordinator, [this, step = std::move(step), repeats] { step_came_back(step, repeats); });
    return;
  }
  phone.last_sent = step.step;
  step.to = phone.plan.stages[place + 1].stage;
  const std::size_t next = phone_of(phone.plan.stages[place + 1].node);
  send(index + 1, next + 1, [this, next, step = std::move(step)] { arrive(next, step); });
}

}  // namespace shoal::sim
