// What this device says of itself before it joins: its name, and how much memory it can spare. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::node {

std::string device_name();  // the host name, cut to wire::kNameBytesMax

// What a node offers when its owner names no limit: 70 % of what is available now, so that the device stays usable;
// 1 GiB where that is not known.
std::uint64_t default_memory_bytes_max();

}  // namespace shoal::node
