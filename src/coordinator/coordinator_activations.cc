// In which type each node sends hidden states to the next: f32, unless answers need not be exact and somebody wants
// fewer bytes (`--activations`), or, with auto and `--exact off`, a link was measured to be the bottleneck.
#include <algorithm>

#include "base/log.h"
#include "coordinator/coordinator.h"
#include "plan/activation_choice.h"

namespace shoal::coordinator {
namespace {

constexpr Duration kChooseEvery = std::chrono::seconds(1);

}  // namespace

bool Coordinator::adapts_activations() const {
  return !options_.activations && options_.limits.settings.exact == ExactMode::kOff;
}

// All stages of the plan are ready, and it is known how each reaches the next.
bool Coordinator::links_settled(const sched::PlannedPlan& plan) const {
  const std::vector<MeasuredLink> links = data_links(plan);
  const auto is_ready = [this](const sched::PlannedPlan::Stage& stage) {
    const auto found = stages_.find(stage.stage);
    return found != stages_.end() && found->second.state == StageState::kReady;
  };
  return std::all_of(plan.stages.begin(), plan.stages.end(), is_ready) &&
         std::all_of(links.begin(), links.end(),
                     [&](const MeasuredLink& link) { return stages_.at(link.from_stage).to_next != LinkPath::kNone; });
}

void Coordinator::begin_activations() {
  const ExactMode exact = options_.limits.settings.exact;
  if (exact == ExactMode::kOn || options_.activations == ActivationType::kF32) return;
  for (const auto& [lane, plan] : plans_) {
    if (!plan.stages.empty() && links_settled(plan)) begin_activations(plan);
  }
}

void Coordinator::begin_activations(const sched::PlannedPlan& plan) {
  const std::vector<MeasuredLink> links = data_links(plan);
  if (links.empty() || (options_.limits.settings.exact == ExactMode::kAuto && status().exact)) return;
  if (options_.activations) {
    const bool fits = activation_row_bytes(*options_.activations, model_.manifest().embedding_length).has_value();
    for (const MeasuredLink& link : links)
      set_activations(link.from_stage, fits ? *options_.activations : ActivationType::kF16);
  } else if (adapts_activations() && links_measured_[plan.lane] != plan.epoch && !link_bench_.running()) {
    links_measured_[plan.lane] = plan.epoch;
    link_bench_.start(links, [this](const std::vector<MeasuredLink>& measured) { keep_speeds(measured); });
  }
}

void Coordinator::keep_speeds(const std::vector<MeasuredLink>& links) {
  for (const MeasuredLink& link : links) {
    if (link.kind != LinkKind::kData || plan_of(link.epoch) == nullptr) continue;
    if (const auto found = stages_.find(link.from_stage); found != stages_.end() && link.speed)
      found->second.speed_to_next = link.speed;
  }
  begin_activations();  // what waited for the end of this
}

// Stages show what they need as steps come back.
void Coordinator::adapt_activations(const wire::StepResult& result, std::size_t rows, Time now) {
  if (!adapts_activations() || rows == 0) return;
  for (const wire::StageTime& time : result.times) {
    if (const auto found = stages_.find(time.stage); found != stages_.end())
      found->second.cost.measured(rows, Duration(time.compute_us));
  }
  const sched::PlannedPlan* plan = plan_of(result.epoch);
  if (plan == nullptr || now - activations_chosen_ < kChooseEvery) return;
  double slowest_us = 0;
  for (const auto& [id, record] : stages_) {
    if (record.lane == plan->lane)
      slowest_us = std::max(slowest_us, record.cost.microseconds(plan::kActivationChunkRows));
  }
  for (const auto& [id, record] : stages_) {
    if (!record.speed_to_next || record.lane != plan->lane) continue;
    activations_chosen_ = now;
    const auto type = plan::choose_activation_type(
        {model_.manifest().embedding_length, record.speed_to_next->rtt, record.speed_to_next->bytes_per_s,
         Duration(static_cast<std::int64_t>(slowest_us))},
        record.sends);
    set_activations(id, type);
  }
}

void Coordinator::set_activations(StageId stage, ActivationType type) {
  StageRecord& record = stages_.at(stage);
  if (record.sends == type) return;
  record.sends = type;
  log_info("layers {} go on to the next stage as {}", record.range.text(), to_string(type));
  if (const sched::PlannedPlan* plan = plan_with(stage)) {
    cluster_.send(record.node, wire::SetActivations{plan->epoch, stage, type});
  }
}

}  // namespace shoal::coordinator
