// A device that tells what a file says: for tests, and for trying what Shoal does with a phone that is hot or runs flat
// without having one (`shoal join --device-scenario FILE`). Never mixed with what the system tells.
//
// The file is JSON, at most kScenarioBytesMax: an array of steps in the order of their times, each with `at_s`, seconds
// since the first telemetry, and values under the names of base/telemetry.h:
//
//   [{"at_s": 0, "battery_percent": 84, "battery_state": "charging", "cpu_millicelsius": 41000, "throttled": false},
//    {"at_s": 6, "battery_percent": 19, "battery_state": "discharging"},
//    {"at_s": 9, "cpu_millicelsius": null}]
//
// A value stays until a later step names it again; null makes it unknown. Before the first step everything is unknown.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/result.h"
#include "node/device_source.h"

namespace shoal::node {

inline constexpr std::size_t kScenarioBytesMax = std::size_t{1} << 20;

class ScenarioDevice final : public DeviceSource {
 public:
  // kInvalidArgument names the step and the value that is wrong.
  static Result<std::unique_ptr<ScenarioDevice>> open(const std::filesystem::path& file);

  DeviceTelemetry read(std::chrono::steady_clock::time_point now) override;

 private:
  struct Step {
    std::chrono::milliseconds at;
    DeviceTelemetry device;  // from then on
  };
  explicit ScenarioDevice(std::vector<Step> steps) : steps_(std::move(steps)) {}

  std::vector<Step> steps_;
  std::optional<std::chrono::steady_clock::time_point> began_;
};

}  // namespace shoal::node
