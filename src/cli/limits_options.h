// Options that `join` and `serve --host-memory` share: what the shoal may do with this device.
#pragma once

#include <charconv>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/owner_limits.h"

namespace shoal::cli {

inline void add_limits(CLI::App& app, OwnerLimits& limits) {
  const auto temperature = [](const std::string& text) -> std::string {
    std::uint32_t celsius = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), celsius);
    if (error == std::errc() && end == text.data() + text.size() && is_temperature_limit(celsius)) return "";
    return fmt::format("{} is not 0 or {} to {}", text, kTemperatureMaxCelsiusLeast, kTemperatureMaxCelsiusMost);
  };
  app.add_option("--battery-min", limits.battery_min_percent,
                 "Percent of battery below which this device gets nothing unless it charges; it gets less in the 10 "
                 "points above (0: the battery does not matter)")
      ->check(CLI::Range(0u, kBatteryMinPercentMost))
      ->capture_default_str();
  app.add_option("--temperature-max", limits.temperature_max_celsius,
                 "Degrees Celsius of battery or case above which it gets nothing; it gets less in the 5 below (0: they "
                 "do not matter)")
      ->check(temperature)
      ->capture_default_str();
  app.add_option("--cpu-temperature-max", limits.cpu_temperature_max_celsius, "The same of the processor")
      ->check(temperature)
      ->capture_default_str();
  app.add_flag("--only-while-charging", limits.only_while_charging, "This device gets nothing while on its battery");
}

}  // namespace shoal::cli
