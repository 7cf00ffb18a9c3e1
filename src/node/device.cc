#include "node/device.h"

#include <array>
#include <fstream>
#include <limits>

#include <unistd.h>

#include "wire/messages.h"

namespace shoal::node {

std::optional<std::uint64_t> memory_available_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  while (meminfo >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::optional<std::uint64_t> resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) return std::nullopt;
  return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string device_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == 0) return "device";
  return std::string(name.data()).substr(0, wire::kNameBytesMax);
}

std::uint64_t default_memory_bytes_max() {
  constexpr std::uint64_t kFallback = std::uint64_t{1} << 30;
  return memory_available_bytes().value_or(kFallback / 7 * 10) / 10 * 7;
}

}  // namespace shoal::node
