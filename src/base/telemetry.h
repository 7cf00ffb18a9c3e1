// What a node tells of itself every 500 ms: the device, its links, its stages.
//
// The one struct for all who use it: nodes fill it (node/device_source.h), the wire carries it, the coordinator keeps
// the newest of each node (coordinator/cluster.h) and shows it, and a scheduler may take it as it is. What cannot be
// told is absent, never a guess: a consumer that needs a value decides itself what unknown means to it. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/ids.h"

namespace shoal {

// kNotCharging: power from outside, and the battery left alone (too warm, or a limit that its owner set).
enum class BatteryState : std::uint8_t { kDischarging, kCharging, kNotCharging, kFull };
inline constexpr std::array<std::string_view, 4> kBatteryStateNames = {"discharging", "charging", "not charging",
                                                                       "full"};
inline constexpr std::string_view to_string(BatteryState state) {
  return kBatteryStateNames[static_cast<std::size_t>(state)];
}

struct DeviceTelemetry {
  // Of the time of all cores since the reading before: this process, and everything else.
  std::optional<std::uint32_t> cpu_own_permille;
  std::optional<std::uint32_t> cpu_others_permille;

  std::optional<std::uint64_t> memory_total_bytes;
  std::optional<std::uint64_t> memory_available_bytes;
  std::optional<std::uint64_t> resident_bytes;  // of this process
  // Pressure stall information: the share of the last 10 s in which some, or all, of the device's tasks that had work
  // waited for memory.
  std::optional<std::uint32_t> memory_some_permille;
  std::optional<std::uint32_t> memory_full_permille;

  std::optional<std::uint32_t> battery_percent;
  std::optional<BatteryState> battery_state;
  std::optional<std::int32_t> battery_current_ma;  // into the battery; negative: out of it
  std::optional<std::int32_t> battery_power_mw;    // the same way round
  std::optional<std::int32_t> battery_millicelsius;

  std::optional<std::int32_t> cpu_millicelsius;   // the hottest of the processor's sensors
  std::optional<std::int32_t> skin_millicelsius;  // the hottest of the case's
  // The system lowers the processor's clock, or otherwise cools it by making it slower.
  std::optional<bool> throttled;
  std::optional<std::uint32_t> cpu_limit_permille;  // of its highest clock that is allowed now: of the core held lowest

  bool operator==(const DeviceTelemetry&) const = default;
};

struct FieldRange {
  std::int64_t least;
  std::int64_t most;
};

// Calls visit(name, value, range) for every field: the names are those of the API and of scenario files, and a value
// that is there lies in its range. `Device` is DeviceTelemetry or const DeviceTelemetry.
template <typename Device, typename Visit>
void for_each_field(Device& device, Visit visit) {
  constexpr FieldRange kPermille{0, 1000};
  constexpr FieldRange kBytes{0, std::int64_t{1} << 60};
  constexpr FieldRange kMillicelsius{-50'000, 200'000};
  visit("cpu_own_permille", device.cpu_own_permille, kPermille);
  visit("cpu_others_permille", device.cpu_others_permille, kPermille);
  visit("memory_total_bytes", device.memory_total_bytes, kBytes);
  visit("memory_available_bytes", device.memory_available_bytes, kBytes);
  visit("resident_bytes", device.resident_bytes, kBytes);
  visit("memory_some_permille", device.memory_some_permille, kPermille);
  visit("memory_full_permille", device.memory_full_permille, kPermille);
  visit("battery_percent", device.battery_percent, FieldRange{0, 100});
  visit("battery_state", device.battery_state, FieldRange{0, kBatteryStateNames.size() - 1});
  visit("battery_current_ma", device.battery_current_ma, FieldRange{-100'000, 100'000});
  visit("battery_power_mw", device.battery_power_mw, FieldRange{-1'000'000, 1'000'000});
  visit("battery_millicelsius", device.battery_millicelsius, kMillicelsius);
  visit("cpu_millicelsius", device.cpu_millicelsius, kMillicelsius);
  visit("skin_millicelsius", device.skin_millicelsius, kMillicelsius);
  visit("throttled", device.throttled, FieldRange{0, 1});
  visit("cpu_limit_permille", device.cpu_limit_permille, kPermille);
}

template <typename T>
bool in_range(T value, FieldRange range) {
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (value > static_cast<std::uint64_t>(INT64_MAX)) return false;
  }
  const auto number = static_cast<std::int64_t>(value);
  return number >= range.least && number <= range.most;
}

// A node that this one sends steps to, over a data link of its own.
struct NeighbourTelemetry {
  NodeId node;
  std::optional<std::uint32_t> rtt_us;  // absent: no direct link, or no Pong on it yet
  bool operator==(const NeighbourTelemetry&) const = default;
};

struct StageTelemetry {
  StageId stage;
  std::uint32_t steps_queued = 0;  // without the one that is being computed
  std::uint64_t steps_done = 0;
  // What computing took lately, over about the last 16 steps that had rows; absent before the first.
  std::optional<std::uint32_t> step_us;
  std::optional<std::uint32_t> row_us;
  bool operator==(const StageTelemetry&) const = default;
};

inline constexpr std::size_t kNeighboursMax = 64;

struct Telemetry {
  DeviceTelemetry device;
  std::optional<std::uint32_t> coordinator_rtt_us;  // on the control link; absent before its first Pong
  std::vector<NeighbourTelemetry> neighbours;       // at most kNeighboursMax
  std::vector<StageTelemetry> stages;
  bool operator==(const Telemetry&) const = default;
};

}  // namespace shoal
