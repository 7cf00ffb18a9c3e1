#include "node/device.h"

#include <array>

#include <unistd.h>

#include "node/proc_reader.h"
#include "wire/messages.h"

namespace shoal::node {

std::string device_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == 0) return "device";
  return std::string(name.data()).substr(0, wire::kNameBytesMax);
}

std::uint64_t default_memory_bytes_max() {
  constexpr std::uint64_t kFallback = std::uint64_t{1} << 30;
  DeviceTelemetry device;
  ProcReader().read(std::chrono::steady_clock::now(), device);
  return device.memory_available_bytes ? *device.memory_available_bytes / 10 * 7 : kFallback;
}

}  // namespace shoal::node
