// Coordinator::start_net_bench(): which links there are, and who measures them.
#include "coordinator/coordinator.h"

namespace shoal::coordinator {

Status Coordinator::start_net_bench(std::function<void(NetBench)> done) {
  if (link_bench_.running()) {
    return Error{ErrorCode::kAlreadyExists, "links are being measured already: ask again when that has ended"};
  }
  std::vector<MeasuredLink> links = control_links();
  for (MeasuredLink& link : data_links()) links.push_back(std::move(link));
  link_bench_.start(plan_.epoch, std::move(links),
                    [this, epoch = plan_.epoch, done = std::move(done)](std::vector<MeasuredLink> measured) {
                      keep_speeds(epoch, measured);
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

std::vector<MeasuredLink> Coordinator::data_links() const {
  std::vector<MeasuredLink> links;
  for (std::size_t i = 0; i + 1 < plan_.stages.size(); ++i) {
    const auto& from = plan_.stages[i];
    const auto& to = plan_.stages[i + 1];
    if (from.node == to.node) continue;
    links.push_back({LinkKind::kData, from.node, to.node, node_name(from.node), node_name(to.node), from.stage});
  }
  return links;
}

}  // namespace shoal::coordinator
