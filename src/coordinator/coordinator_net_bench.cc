// Coordinator::start_net_bench(): which links there are, and who measures them.
#include "coordinator/coordinator.h"

namespace shoal::coordinator {

Status Coordinator::start_net_bench(std::function<void(NetBench)> done) {
  if (link_bench_.running()) {
    return Error{ErrorCode::kAlreadyExists, "links are being measured already: ask again when that has ended"};
  }
  std::vector<MeasuredLink> links = control_links();
  for (const auto& [lane, plan] : plans_) {
    for (MeasuredLink& link : data_links(plan)) links.push_back(std::move(link));
  }
  link_bench_.start(std::move(links), [this, done = std::move(done)](std::vector<MeasuredLink> measured) {
    keep_speeds(measured);
    done({std::move(measured), model_.manifest().embedding_length});
  });
  return {};
}

void Coordinator::cancel_net_bench() {
  link_bench_.cancel();
  begin_activations();
}

std::vector<MeasuredLink> Coordinator::control_links() const {
  std::vector<MeasuredLink> links;
  for (const auto& [id, member] : cluster_.members()) {
    if (!member.link) continue;
    links.push_back({LinkKind::kControl, std::nullopt, id, "coordinator", member.known.name});
    links.push_back({LinkKind::kControl, id, std::nullopt, member.known.name, "coordinator"});
  }
  return links;
}

std::vector<MeasuredLink> Coordinator::data_links(const sched::PlannedPlan& plan) const {
  std::vector<MeasuredLink> links;
  for (std::size_t i = 0; i + 1 < plan.stages.size(); ++i) {
    const auto& from = plan.stages[i];
    const auto& to = plan.stages[i + 1];
    if (from.node == to.node) continue;
    links.push_back({LinkKind::kData, from.node, to.node, node_name(from.node), node_name(to.node), from.stage});
    links.back().epoch = plan.epoch;
  }
  return links;
}

}  // namespace shoal::coordinator
