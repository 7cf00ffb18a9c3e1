// What this device says of itself: memory, address, name. Linux's /proc; what it does not tell is nullopt. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace shoal::node {

std::optional<std::uint64_t> memory_available_bytes();  // MemAvailable
std::optional<std::uint64_t> resident_bytes();          // of this process
std::string device_name();                              // the host name, cut to wire::kNameBytesMax

// What a node offers when its owner names no limit: 70 % of what is available now, so that the device stays usable.
std::uint64_t default_memory_bytes_max();

}  // namespace shoal::node
