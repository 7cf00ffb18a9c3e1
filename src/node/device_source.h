// Where a node gets from what it tells of its device: the system (node/system_device.h), or a scenario in tests
// (node/scenario_device.h). main() wires one in.
#pragma once

#include <chrono>

#include "base/telemetry.h"

namespace shoal::node {

class DeviceSource {
 public:
  virtual ~DeviceSource() = default;
  // What can be told now; the rest is absent. Called on the io thread with every telemetry, so it returns at once: what
  // may take longer happens elsewhere, and the newest result is told. A value out of its range (base/telemetry.h) is
  // dropped by the caller.
  virtual DeviceTelemetry read(std::chrono::steady_clock::time_point now) = 0;
};

// Drops what is out of its range: what no device can mean.
inline void drop_implausible(DeviceTelemetry& device) {
  for_each_field(device, [](std::string_view, auto& value, FieldRange range) {
    if (value && !in_range(*value, range)) value.reset();
  });
}

}  // namespace shoal::node
