#include "engine/cpu_topology.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <string>

namespace shoal::engine {
namespace {

constexpr std::uint32_t kCpusMax = 1024;
constexpr double kBigCapacityShare = 0.60;
constexpr double kBigFrequencyShare = 0.70;

std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
  std::ifstream file(path);  // not base/file.h: sysfs gives no true size
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value == 0) return std::nullopt;
  return value;
}

std::vector<std::uint32_t> listed_cpus(const std::filesystem::path& sysfs_cpu) {
  std::vector<std::uint32_t> cpus;
  std::error_code ignored;
  for (std::uint32_t cpu = 0; cpu < kCpusMax; ++cpu) {
    if (std::filesystem::is_directory(sysfs_cpu / ("cpu" + std::to_string(cpu)), ignored)) cpus.push_back(cpu);
  }
  return cpus;
}

// The cores of `cpus` with at least `share` of the largest value; nullopt unless every core has the file.
std::optional<std::vector<std::uint32_t>> strongest(const std::filesystem::path& sysfs_cpu,
                                                    const std::vector<std::uint32_t>& cpus, const char* file,
                                                    double share) {
  std::vector<std::uint64_t> values;
  for (std::uint32_t cpu : cpus) {
    const auto value = read_number(sysfs_cpu / ("cpu" + std::to_string(cpu)) / file);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  const double limit = share * static_cast<double>(*std::max_element(values.begin(), values.end()));
  std::vector<std::uint32_t> big;
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    if (static_cast<double>(values[i]) >= limit) big.push_back(cpus[i]);
  }
  return big;
}

}  // namespace

CpuTopology read_cpu_topology(const std::filesystem::path& sysfs_cpu, const std::vector<std::uint32_t>& allowed) {
  CpuTopology topology;
  topology.usable = allowed.empty() ? listed_cpus(sysfs_cpu) : allowed;
  std::sort(topology.usable.begin(), topology.usable.end());
  if (topology.usable.empty()) topology.usable = {0};
  auto big = strongest(sysfs_cpu, topology.usable, "cpu_capacity", kBigCapacityShare);
  if (!big) big = strongest(sysfs_cpu, topology.usable, "cpufreq/cpuinfo_max_freq", kBigFrequencyShare);
  topology.big = big ? *big : topology.usable;
  return topology;
}

CpuTopology read_cpu_topology() {
  std::vector<std::uint32_t> allowed;
  cpu_set_t set;
  CPU_ZERO(&set);
  // The process's main thread, not the caller: an earlier stage may have pinned this thread to the big cores.
  if (sched_getaffinity(getpid(), sizeof set, &set) == 0) {
    for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) allowed.push_back(cpu);
    }
  }
  return read_cpu_topology("/sys/devices/system/cpu", allowed);
}

}  // namespace shoal::engine
