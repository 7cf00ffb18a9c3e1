// What each node may be asked for (care.h): its telemetry in, its share and whether it rests out.
#include "coordinator/coordinator.h"

namespace shoal::coordinator {

void Coordinator::on_telemetry(const NodeId& node, const Telemetry& told) {
  const bool rested = rests(node);
  const auto change = cares_[node].report(told.device, clock_.now());
  if (change) story_.cared(node, *change);
  if (rests(node) != rested) feed(sched::NodePaused{node, rests(node)});
  if (change) tell_share(node);
}

// A node that is drained gets nothing because it rests.
void Coordinator::tell_share(const NodeId& node) {
  if (const std::uint32_t share = share_permille(node); share > 0) feed(sched::NodeShare{node, share});
}

std::uint32_t Coordinator::share_permille(const NodeId& node) const {
  const auto found = cares_.find(node);
  return found == cares_.end() ? kWholeShare : found->second.verdict().share_permille;
}

bool Coordinator::rests(const NodeId& node) const {
  const auto* member = cluster_.find(node);
  return (member != nullptr && member->known.paused) || share_permille(node) == 0;
}

// "phone3 is drained: battery 14 %, below its 20 %", "phone3 is paused"; "" when it does not rest
std::string Coordinator::why_rests(const NodeId& node) const {
  const auto* member = cluster_.find(node);
  if (member != nullptr && member->known.paused) return node_name(node) + " is paused";
  if (share_permille(node) > 0) return "";
  return fmt::format("{} is drained: {}", node_name(node), cares_.at(node).verdict().reason);
}

std::string Coordinator::why_not_moved(const sched::Snapshot& snapshot) const {
  if (snapshot.why_not_moved.empty() || !snapshot.plan) return snapshot.why_not_moved;
  std::string text;
  for (const auto& stage : snapshot.plan->stages) {
    if (const std::string why = why_rests(stage.node); !why.empty()) text += (text.empty() ? "" : "; ") + why;
  }
  return text.empty() ? snapshot.why_not_moved : fmt::format("{} ({})", snapshot.why_not_moved, text);
}

}  // namespace shoal::coordinator
