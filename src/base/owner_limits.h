// What a node's owner allows the shoal to do with the device: options of `shoal join`, told in Hello, kept to by the
// coordinator (coordinator/care.h). Values only.
#pragma once

#include <cstdint>

namespace shoal {

inline constexpr std::uint32_t kBatteryMinPercentMost = 90;  // it comes back 10 points above, which a battery can have
inline constexpr std::uint32_t kTemperatureMaxCelsiusLeast = 30;
inline constexpr std::uint32_t kTemperatureMaxCelsiusMost = 110;

// The reasons for the defaults are in coordinator/care.h. A temperature limit is 0 (heat is not looked at) or between
// the two above.
struct OwnerLimits {
  std::uint32_t battery_min_percent = 20;          // 0: the battery is not looked at; at most kBatteryMinPercentMost
  std::uint32_t temperature_max_celsius = 45;      // of battery and case
  std::uint32_t cpu_temperature_max_celsius = 85;  // of the processor's hottest sensor
  bool only_while_charging = false;
  bool operator==(const OwnerLimits&) const = default;
};

inline constexpr bool is_temperature_limit(std::uint32_t celsius) {
  return celsius == 0 || (celsius >= kTemperatureMaxCelsiusLeast && celsius <= kTemperatureMaxCelsiusMost);
}

}  // namespace shoal
