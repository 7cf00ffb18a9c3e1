// How fast nodes are: bytes of weights a second, from what their stages took to compute steps. Pure.
//
// What counts is what a node keeps up, not what it does for a moment. Of each window of kPaceWindow the mean is taken,
// and a node's pace follows it only when window after window says so: down after kSlowerWindows, because everybody
// waits for a slow node; up after kFasterWindows, because a phone that has cooled down will be hot again. A window that
// is less than kPaceBand away from the pace says nothing new.
//
// Steps have different numbers of rows. What a row more costs is learned from all stages together, and each time is
// brought down to a step of one row by that; so paces that were measured in the same steps compare well, others
// roughly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/clock.h"
#include "base/ids.h"
#include "sched/step_cost.h"

namespace shoal::sched {

inline constexpr Duration kPaceWindow = std::chrono::seconds(1);
inline constexpr std::uint32_t kPaceStepsMin = 3;  // a window goes on until it has so many
inline constexpr std::uint32_t kSlowerWindows = 2;
inline constexpr std::uint32_t kFasterWindows = 30;
inline constexpr double kPaceBand = 0.2;

class Paces {
 public:
  // A step came back that had `rows` rows; all its stages together computed for so long.
  void step(std::size_t rows, Duration computed) { shape_.measured(rows, computed); }
  // One of its stages, which goes through `work_bytes` of weights, computed for so long. true: the node's pace is
  // another now.
  bool stage(NodeId node, double work_bytes, std::size_t rows, Duration computed, Time now);

  double weights_per_s(NodeId node) const;  // 0: not known

 private:
  struct Node {
    double pace = 0;
    Time window_began;
    std::uint32_t steps = 0;  // in the window
    double work = 0;
    double seconds = 0;
    std::uint32_t slower = 0;  // windows in a row
    std::uint32_t faster = 0;
    double nearest = 0;  // of them, the one nearest to the pace
  };
  bool close_window(Node& node) const;

  CostLine shape_;
  std::map<NodeId, Node> nodes_;
};

}  // namespace shoal::sched
