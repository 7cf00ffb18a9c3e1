#include "node/battery.h"

#include <array>
#include <cmath>
#include <utility>

#include "node/device_text.h"

namespace shoal::node {
namespace {

constexpr std::int64_t kSurelyMicroamperes = 20'000;
constexpr std::int64_t kSurelyMilliamperes = 10'000;  // less than this, of a battery that discharges
constexpr std::int64_t kCurrentMaMax = 20'000;
constexpr std::int64_t kPowerMwMax = 500'000;

// The value if it lies in there.
std::optional<std::int64_t> within(std::optional<std::int64_t> value, std::int64_t least, std::int64_t most) {
  return value && *value >= least && *value <= most ? value : std::nullopt;
}

// +1 into the battery, -1 out of it.
std::optional<std::int32_t> direction(std::optional<BatteryState> state) {
  if (state == BatteryState::kCharging) return 1;
  if (state == BatteryState::kDischarging) return -1;
  return std::nullopt;
}

}  // namespace

std::optional<BatteryState> parse_battery_state(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, BatteryState>, 5> kNames = {{
      {"charging", BatteryState::kCharging},
      {"discharging", BatteryState::kDischarging},
      {"not charging", BatteryState::kNotCharging},
      {"not_charging", BatteryState::kNotCharging},
      {"full", BatteryState::kFull},
  }};
  const std::string lower = lower_case(trimmed(text));
  for (const auto& [name, state] : kNames) {
    if (lower == name) return state;
  }
  return std::nullopt;
}

std::optional<std::int32_t> BatteryMeter::current_ma(const BatteryReading& reading) {
  // INT32_MIN and INT64_MIN are what Android and others say for "unknown".
  const auto current = within(reading.current, -kCurrentMaMax * 1000, kCurrentMaMax * 1000);
  if (!current) return std::nullopt;
  const std::int64_t size = std::abs(*current);
  const auto sign = direction(reading.state);
  if (size == 0) return sign ? std::nullopt : std::optional(0);
  if (size > kSurelyMicroamperes) {
    is_ua_ = true;
  } else if (size < kSurelyMilliamperes && reading.state == BatteryState::kDischarging) {
    is_ma_ = true;
  }
  if (!sign || (!is_ua_ && !is_ma_)) return std::nullopt;
  return *sign * static_cast<std::int32_t>(is_ua_ ? size / 1000 : size);
}

std::optional<std::int32_t> BatteryMeter::power_mw(const BatteryReading& reading,
                                                   std::optional<std::int32_t> current_ma) {
  const auto sign = direction(reading.state);
  const auto power_uw = within(reading.power_uw, -kPowerMwMax * 1000, kPowerMwMax * 1000);
  if (sign && power_uw && *power_uw != 0) return *sign * static_cast<std::int32_t>(std::abs(*power_uw) / 1000);
  const auto voltage_uv = within(reading.voltage_uv, 2'000'000, 60'000'000);
  if (!current_ma || !voltage_uv) return std::nullopt;
  const auto product = within(*current_ma * *voltage_uv / 1'000'000, -kPowerMwMax, kPowerMwMax);
  return product ? std::optional(static_cast<std::int32_t>(*product)) : std::nullopt;
}

void BatteryMeter::tell(const BatteryReading& reading, DeviceTelemetry& into) {
  if (const auto percent = within(reading.percent, 0, 100)) {
    into.battery_percent = static_cast<std::uint32_t>(*percent);
  }
  into.battery_state = reading.state;
  if (const auto temperature = within(reading.millicelsius, -30'000, 100'000); temperature && *temperature != 0) {
    into.battery_millicelsius = static_cast<std::int32_t>(*temperature);
  }
  into.battery_current_ma = current_ma(reading);
  into.battery_power_mw = power_mw(reading, into.battery_current_ma);
}

void SysBattery::find() {
  for (const auto& supply : entries_of(sys_ / "class" / "power_supply", "")) {
    const auto type = read_text(supply / "type");
    if (!type || trimmed(*type) != "Battery") continue;
    if (trimmed(read_text(supply / "scope").value_or("")) == "Device") continue;
    if (read_number(supply / "present").value_or(1) == 0) continue;
    if (!battery_ || supply.filename() == "battery") battery_ = supply;
  }
}

void SysBattery::read(DeviceTelemetry& into) {
  if (!std::exchange(looked_, true)) find();
  if (!battery_) return;
  BatteryReading reading;
  reading.percent = read_number(*battery_ / "capacity");
  reading.state = parse_battery_state(read_text(*battery_ / "status").value_or(""));
  reading.current = read_number(*battery_ / "current_now");
  reading.voltage_uv = read_number(*battery_ / "voltage_now");
  reading.power_uw = read_number(*battery_ / "power_now");
  // Tenths of a degree.
  if (const auto tenths = within(read_number(*battery_ / "temp"), -10'000, 10'000)) {
    reading.millicelsius = *tenths * 100;
  }
  meter_.tell(reading, into);
}

}  // namespace shoal::node
