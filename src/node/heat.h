// What /sys tells of heat and of what the system does about it. One thread at a time; sensors may take milliseconds
// each, so not the io thread.
//
// - Temperatures, from class/thermal/thermal_zone*: the hottest of the zones whose type names the processor, and the
//   hottest of those that name the case ("skin"). Which zones those are is looked up once, and of each kind the first
//   kZonesMax are read: a phone has a hundred. By the book they tell thousandths of a degree; some kernels tell tenths,
//   or whole degrees, which is seen from the size, because a processor that runs is warmer than 5 °C: 5 to 125 are
//   degrees, 200 to 1250 tenths, 5000 to 125000 thousandths. Anything else is dropped: 0 and below (-40000, -273000: no
//   sensor), and what no processor survives.
// - Throttling, from the highest clock that each cluster may run at now against the highest it has
//   (devices/system/cpu/cpufreq), and from the processor's cooling devices (class/thermal/cooling_device*) that are in
//   use. Throttled: any of them says so. It may be the system's heat control or its owner's wish; the effect is one.
#pragma once

#include <filesystem>
#include <vector>

#include "base/telemetry.h"

namespace shoal::node {

inline constexpr std::size_t kZonesMax = 8;
inline constexpr std::size_t kCoolersMax = 16;
inline constexpr std::size_t kClustersMax = 16;

class Heat {
 public:
  explicit Heat(std::filesystem::path sys = "/sys") : sys_(std::move(sys)) {}
  void read(DeviceTelemetry& into);

 private:
  struct Cluster {
    std::filesystem::path limit;  // scaling_max_freq
    std::int64_t highest_khz;
  };
  void find();

  std::filesystem::path sys_;
  bool looked_ = false;
  std::vector<std::filesystem::path> cpu_zones_;
  std::vector<std::filesystem::path> skin_zones_;
  std::vector<std::filesystem::path> coolers_;
  std::vector<Cluster> clusters_;
};

}  // namespace shoal::node
