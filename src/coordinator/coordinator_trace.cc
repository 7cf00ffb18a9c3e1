// Coordinator::start_trace() and what it writes down of each step that comes back.
#include "coordinator/coordinator.h"

namespace shoal::coordinator {

Status Coordinator::start_trace() {
  if (tracer_.recording()) {
    return Error{ErrorCode::kAlreadyExists,
                 fmt::format("a trace is being recorded already: ask again when it has ended, in {} s at the latest",
                             kTraceWindowMax.count())};
  }
  tracer_.start(clock_.now());
  for (const auto& [lane, plan] : plans_) {
    if (!plan.stages.empty()) tracer_.add_plan(traced_plan(plan));
  }
  return {};
}

TracedPlan Coordinator::traced_plan(const sched::PlannedPlan& planned) const {
  TracedPlan plan{planned.epoch, {}};
  for (const auto& stage : planned.stages) {
    const auto record = stages_.find(stage.stage);
    const bool relayed = record != stages_.end() && record->second.to_next == LinkPath::kRelay;
    plan.stages.push_back({stage.stage, stage.node, node_name(stage.node), stage.range, relayed});
  }
  return plan;
}

void Coordinator::trace_step(const wire::StepResult& result, const std::vector<sched::Row>& rows, Time sent,
                             Time returned) {
  std::vector<ToldPass> told;
  told.reserve(result.times.size());
  for (const wire::StageTime& time : result.times) {
    ToldPass pass{time.stage, Duration(time.queue_us), Duration(time.compute_us), Duration(time.send_us), {}};
    const auto record = stages_.find(time.stage);
    const auto* member = record == stages_.end() ? nullptr : cluster_.find(record->second.node);
    const auto offset = member && member->link ? member->link->clock_offset() : std::nullopt;
    // Modulo 2^64, as the peer's clock is whatever it says; lay_out() keeps what makes no sense within the step.
    if (offset && time.queued_at_us != 0) {
      const auto ours_us = time.queued_at_us - static_cast<std::uint64_t>(offset->count());
      pass.queued = Time(Duration(static_cast<std::int64_t>(ours_us)));
    }
    told.push_back(pass);
  }
  tracer_.add_step(result.epoch, result.step, count_rows(rows), sent, returned, told);
}

}  // namespace shoal::coordinator
