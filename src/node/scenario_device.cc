#include "node/scenario_device.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "node/battery.h"

namespace shoal::node {
namespace {

using nlohmann::json;

constexpr double kSecondsMax = 86400.0 * 365;

// The value in `from` as a T; nullopt when it is of another kind. Whether it is in its range is asked afterwards.
template <typename T>
std::optional<T> value_of(const json& from) {
  if constexpr (std::is_same_v<T, BatteryState>) {
    return from.is_string() ? parse_battery_state(from.get<std::string>()) : std::nullopt;
  } else if constexpr (std::is_same_v<T, bool>) {
    return from.is_boolean() ? std::optional(from.get<bool>()) : std::nullopt;
  } else {
    if (!from.is_number_integer()) return std::nullopt;
    if (from.is_number_unsigned() && from.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
      return std::nullopt;
    const auto number = from.get<std::int64_t>();
    if (number < static_cast<std::int64_t>(std::numeric_limits<T>::min())) return std::nullopt;
    if (number > 0 && static_cast<std::uint64_t>(number) > static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
      return std::nullopt;
    return static_cast<T>(number);
  }
}

// Sets the field of this name; what is wrong, or "".
std::string set_field(DeviceTelemetry& device, std::string_view wanted, const json& to) {
  std::string problem = "there is no such value";
  for_each_field(device, [&](std::string_view name, auto& value, FieldRange range) {
    if (name != wanted) return;
    problem.clear();
    value.reset();
    if (to.is_null()) return;
    value = value_of<typename std::remove_reference_t<decltype(value)>::value_type>(to);
    if (!value || !in_range(*value, range)) problem = "not what this value can be";
  });
  return problem;
}

// When a step is, and what it changes in `device`; what is wrong, or "".
std::string apply(const json& step, std::chrono::milliseconds& at, DeviceTelemetry& device) {
  if (!step.is_object()) return "not an object";
  const auto time = step.find("at_s");
  if (time == step.end() || !time->is_number()) return "at_s is missing";
  const auto seconds = time->get<double>();
  if (!(seconds >= 0 && seconds <= kSecondsMax)) return "at_s is no time";
  const std::chrono::milliseconds after(std::llround(seconds * 1000));
  if (after < at) return "at_s lies before that of the step before";
  at = after;
  for (const auto& [name, value] : step.items()) {
    if (name == "at_s") continue;
    if (auto problem = set_field(device, name, value); !problem.empty()) return name + ": " + problem;
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<ScenarioDevice>> ScenarioDevice::open(const std::filesystem::path& file) {
  SHOAL_ASSIGN_OR_RETURN(const std::string text, read_file(file, kScenarioBytesMax));
  const json scenario = json::parse(text, nullptr, false);
  const auto wrong = [&](std::string_view what) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} is no device scenario: {}", file.string(), what)};
  };
  if (!scenario.is_array() || scenario.empty()) return wrong("not a JSON array of steps");
  std::vector<Step> steps;
  Step step{};
  for (const auto& each : scenario) {
    if (auto problem = apply(each, step.at, step.device); !problem.empty()) {
      return wrong(fmt::format("step {}: {}", steps.size() + 1, problem));
    }
    steps.push_back(step);
  }
  return std::unique_ptr<ScenarioDevice>(new ScenarioDevice(std::move(steps)));
}

DeviceTelemetry ScenarioDevice::read(std::chrono::steady_clock::time_point now) {
  if (!began_) began_ = now;
  const auto later = std::upper_bound(steps_.begin(), steps_.end(), now - *began_,
                                      [](auto passed, const Step& step) { return passed < step.at; });
  return later == steps_.begin() ? DeviceTelemetry() : std::prev(later)->device;
}

}  // namespace shoal::node
