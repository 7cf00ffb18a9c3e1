// Which cores a stage computes on: the big ones. A thread on a little core holds up all others at every barrier, and
// that made phones ten times slower (llama.cpp #6148). Reads Linux's sysfs; pure but for that; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace shoal::engine {

struct CpuTopology {
  std::vector<std::uint32_t> big;     // cores to compute on, ascending, never empty
  std::vector<std::uint32_t> usable;  // cores this process may run on, ascending
  bool big_little() const { return big.size() < usable.size(); }
};

// `allowed`: cores the process may use (empty: unknown, all that sysfs lists).
// Big is a core with at least 60 % of the strongest usable core's cpu_capacity (the kernel's own measure). Where that
// file is missing: at least 70 % of the highest cpufreq/cpuinfo_max_freq, because a little core's clock is closer to a
// big one's than its work is (SD845: 1.77 of 2.80 GHz, but 0.4 of the capacity). Where both are missing, all are big.
CpuTopology read_cpu_topology(const std::filesystem::path& sysfs_cpu, const std::vector<std::uint32_t>& allowed);

// The same for this process: /sys/devices/system/cpu and sched_getaffinity of its main thread.
CpuTopology read_cpu_topology();

}  // namespace shoal::engine
