// What /proc tells: CPU use, memory and its pressure. Quick enough for the io thread; one thread at a time.
//
// - CPU, from /proc/stat and /proc/self/stat: time since the reading before, of the time of all cores. Time in which a
//   core was idle or only waited for a disk is nobody's; time that a hypervisor took counts as others'. Android 8 and
//   later close /proc/stat to apps: then only our own share is known, of the time that has passed and the cores there
//   are. Readings within kCpuWindowMin of the last one repeat it: ticks of 10 ms say nothing about less.
// - Memory, from /proc/meminfo and /proc/self/statm. Kernels before 3.14 have no MemAvailable: unknown.
// - Pressure, from /proc/pressure/memory: avg10. Kernels without PSI, and most phones towards apps: unknown.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "base/telemetry.h"

namespace shoal::node {

inline constexpr auto kCpuWindowMin = std::chrono::milliseconds(200);

class ProcReader {
 public:
  struct Units {
    std::int64_t cores;
    std::int64_t ticks_per_second;  // of CPU times
    std::int64_t page_bytes;
    static Units of_this_system();
  };
  explicit ProcReader(std::filesystem::path proc = "/proc", Units units = Units::of_this_system());

  void read(std::chrono::steady_clock::time_point now, DeviceTelemetry& into);

 private:
  struct CpuTimes {
    std::chrono::steady_clock::time_point at;
    std::optional<std::int64_t> own;  // ticks, as the others
    std::optional<std::int64_t> all;
    std::int64_t idle = 0;
  };
  struct CpuUse {
    std::optional<std::uint32_t> own_permille;
    std::optional<std::uint32_t> others_permille;
  };
  CpuTimes cpu_times(std::chrono::steady_clock::time_point now) const;
  CpuUse use_between(const CpuTimes& before, const CpuTimes& after) const;
  void read_memory(DeviceTelemetry& into) const;
  void read_pressure(DeviceTelemetry& into) const;

  std::filesystem::path proc_;
  Units units_;
  std::optional<CpuTimes> last_;
  CpuUse use_;  // up to last_
};

}  // namespace shoal::node
