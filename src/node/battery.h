// What a battery tells, in units and signs that can be relied on. One thread at a time.
//
// The kernel's documents say: microamperes, positive into the battery. Phones say: microamperes or milliamperes, either
// sign. So the sign is taken from the state, and from nothing else: discharging is out, charging is in, and of any
// other state only a current of 0 is told. The unit is taken from the size: what exceeds 20 mA as microamperes (and so
// 20 A as milliamperes, which no battery of a phone or laptop gives) is in microamperes, from then on for good; what a
// discharging battery gives under 10 mA, less than a device needs that is awake, is in milliamperes until something
// larger comes. As long as neither was seen, the current is unknown.
// Dropped as not plausible: more than 100 %; more than 20 A; a discharging or charging battery without current; a
// voltage outside 2 to 60 V; more than 500 W; a temperature of exactly 0 (drivers say it for "none"), below -30 °C or
// above 100 °C.
#pragma once

#include <filesystem>
#include <optional>

#include "base/telemetry.h"

namespace shoal::node {

// A battery's own words.
struct BatteryReading {
  std::optional<std::int64_t> percent;
  std::optional<BatteryState> state;
  std::optional<std::int64_t> current;  // µA by the book
  std::optional<std::int64_t> voltage_uv;
  std::optional<std::int64_t> power_uw;  // where it is absent, power is current times voltage
  std::optional<std::int64_t> millicelsius;
};

// "Charging", "NOT_CHARGING", ...: as the kernel and Android call them; nullopt for "Unknown" and anything else.
std::optional<BatteryState> parse_battery_state(std::string_view text);

class BatteryMeter {
 public:
  void tell(const BatteryReading& reading, DeviceTelemetry& into);

 private:
  std::optional<std::int32_t> current_ma(const BatteryReading& reading);
  static std::optional<std::int32_t> power_mw(const BatteryReading& reading, std::optional<std::int32_t> current_ma);

  bool is_ua_ = false;
  bool is_ma_ = false;
};

// The battery under /sys/class/power_supply: the one named "battery", else the first by name that is a system's battery
// and there (a wireless mouse's is not; of a laptop with two the first). Found once, when it is first read.
class SysBattery {
 public:
  explicit SysBattery(std::filesystem::path sys = "/sys") : sys_(std::move(sys)) {}
  void read(DeviceTelemetry& into);

 private:
  void find();

  std::filesystem::path sys_;
  bool looked_ = false;
  std::optional<std::filesystem::path> battery_;
  BatteryMeter meter_;
};

}  // namespace shoal::node
