#include "sched/pace.h"

#include <algorithm>

namespace shoal::sched {

bool Paces::stage(NodeId id, double work_bytes, std::size_t rows, Duration computed, Time now) {
  const double of_one_row = shape_.microseconds(1);
  const double of_these = shape_.microseconds(static_cast<double>(rows));
  if (work_bytes <= 0 || computed <= Duration::zero() || of_one_row <= 0 || of_these <= 0) return false;
  Node& node = nodes_[id];
  bool changed = false;
  if (now > node.window_began + 10 * kPaceWindow) node.steps = 0;  // of a time long ago
  if (node.steps >= kPaceStepsMin && now >= node.window_began + kPaceWindow) changed = close_window(node);
  if (node.steps == 0) {
    node.window_began = now;
    node.work = node.seconds = 0;
  }
  ++node.steps;
  node.work += work_bytes * of_these / of_one_row;
  node.seconds += std::chrono::duration<double>(computed).count();
  return changed;
}

bool Paces::close_window(Node& node) const {
  const double seen = node.work / node.seconds;
  node.steps = 0;
  if (node.pace == 0) {
    node.pace = seen;
    return true;
  }
  const bool slower = seen < node.pace * (1 - kPaceBand);
  const bool faster = seen > node.pace * (1 + kPaceBand);
  if (slower) node.nearest = node.slower == 0 ? seen : std::max(node.nearest, seen);
  if (faster) node.nearest = node.faster == 0 ? seen : std::min(node.nearest, seen);
  node.slower = slower ? node.slower + 1 : 0;
  node.faster = faster ? node.faster + 1 : 0;
  if (node.slower < kSlowerWindows && node.faster < kFasterWindows) return false;
  node.pace = node.nearest;
  node.slower = node.faster = 0;
  return true;
}

double Paces::weights_per_s(NodeId node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? 0 : found->second.pace;
}

}  // namespace shoal::sched
