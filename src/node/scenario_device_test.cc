// Goal: a scenario tells at each time what its file says for it, and a file that is wrong is refused with the place.
// How: files, read at made-up times.
#include "node/scenario_device.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "node/device_test_support.h"

namespace shoal::node {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class ScenarioDeviceTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<ScenarioDevice>> open(const std::string& text) {
    tree_.file("scenario.json", text);
    return ScenarioDevice::open(tree_.root() / "scenario.json");
  }
  std::string refusal(const std::string& text) {
    const auto opened = open(text);
    return opened.ok() ? "accepted" : opened.error().message;
  }
  test::Tree tree_;
};

TEST_F(ScenarioDeviceTest, TellsTheStepOfTheTime) {
  auto opened = open(R"([
    {"at_s": 1, "battery_percent": 84, "battery_state": "charging", "cpu_millicelsius": -5000, "throttled": false},
    {"at_s": 2.5, "battery_percent": 19, "battery_state": "discharging", "memory_available_bytes": 3221225472},
    {"at_s": 2.5, "throttled": true},
    {"at_s": 4, "cpu_millicelsius": null}])");
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  ScenarioDevice& device = **opened;
  const std::chrono::steady_clock::time_point began(std::chrono::hours(7));
  EXPECT_EQ(device.read(began), DeviceTelemetry());
  EXPECT_EQ(device.read(began + milliseconds(999)), DeviceTelemetry());
  auto told = device.read(began + milliseconds(1000));
  EXPECT_EQ(told.battery_percent, 84u);
  EXPECT_EQ(told.battery_state, BatteryState::kCharging);
  EXPECT_EQ(told.cpu_millicelsius, -5000);
  EXPECT_EQ(told.throttled, false);
  EXPECT_FALSE(told.memory_available_bytes);
  told = device.read(began + milliseconds(2500));
  EXPECT_EQ(told.battery_percent, 19u);
  EXPECT_EQ(told.throttled, true) << "the later step of the same time";
  EXPECT_EQ(told.cpu_millicelsius, -5000) << "as it was";
  EXPECT_EQ(told.memory_available_bytes, std::uint64_t{3} << 30);
  told = device.read(began + std::chrono::hours(1));
  EXPECT_FALSE(told.cpu_millicelsius);
  EXPECT_EQ(told.battery_percent, 19u);
}

TEST_F(ScenarioDeviceTest, TakesEveryValueAtBothEndsOfItsRange) {
  std::string least, most;
  DeviceTelemetry device;
  for_each_field(device, [&](std::string_view name, auto& value, FieldRange range) {
    using T = typename std::remove_reference_t<decltype(value)>::value_type;
    const auto text = [](std::int64_t number) -> std::string {
      if constexpr (std::is_same_v<T, bool>) return number != 0 ? "true" : "false";
      if constexpr (std::is_same_v<T, BatteryState>) {
        return fmt::format("\"{}\"", to_string(static_cast<BatteryState>(number)));
      }
      return std::to_string(number);
    };
    least += fmt::format(", \"{}\": {}", name, text(range.least));
    most += fmt::format(", \"{}\": {}", name, text(range.most));
    if (std::is_same_v<T, bool> || std::is_same_v<T, BatteryState>) return;
    for (const std::int64_t beyond : {range.least - 1, range.most + 1}) {
      EXPECT_THAT(refusal(fmt::format("[{{\"at_s\": 0, \"{}\": {}}}]", name, beyond)), HasSubstr(name));
    }
  });
  auto opened = open(fmt::format("[{{\"at_s\": 0{}}}, {{\"at_s\": 1{}}}]", least, most));
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const std::chrono::steady_clock::time_point began{};
  const auto lowest = (*opened)->read(began);
  const auto highest = (*opened)->read(began + std::chrono::seconds(1));
  for_each_field(lowest, [](std::string_view name, const auto& value, FieldRange range) {
    ASSERT_TRUE(value) << name;
    EXPECT_EQ(static_cast<std::int64_t>(*value), range.least) << name;
  });
  for_each_field(highest, [](std::string_view name, const auto& value, FieldRange range) {
    ASSERT_TRUE(value) << name;
    EXPECT_EQ(static_cast<std::int64_t>(*value), range.most) << name;
  });
}

TEST_F(ScenarioDeviceTest, WrongFilesAreRefusedWithThePlace) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "not a JSON array"},
      {"{}", "not a JSON array"},
      {"[]", "not a JSON array"},
      {"[{\"at_s\": 0}", "not a JSON array"},
      {"[7]", "step 1: not an object"},
      {"[{\"battery_percent\": 5}]", "step 1: at_s is missing"},
      {"[{\"at_s\": \"0\"}]", "step 1: at_s is missing"},
      {"[{\"at_s\": -1}]", "step 1: at_s is no time"},
      {"[{\"at_s\": 1e300}]", "step 1: at_s is no time"},
      {"[{\"at_s\": 5}, {\"at_s\": 4}]", "step 2: at_s lies before"},
      {"[{\"at_s\": 0, \"battery\": 5}]", "step 1: battery: there is no such value"},
      {"[{\"at_s\": 0, \"battery_percent\": 101}]", "battery_percent: not what this value can be"},
      {"[{\"at_s\": 0, \"battery_percent\": 84.5}]", "battery_percent: not what"},
      {"[{\"at_s\": 0, \"battery_percent\": \"84\"}]", "battery_percent: not what"},
      {"[{\"at_s\": 0, \"battery_percent\": 4294967300}]", "battery_percent: not what"},
      {"[{\"at_s\": 0, \"battery_state\": \"unknown\"}]", "battery_state: not what"},
      {"[{\"at_s\": 0, \"battery_state\": 1}]", "battery_state: not what"},
      {"[{\"at_s\": 0, \"throttled\": 1}]", "throttled: not what"},
      {"[{\"at_s\": 0, \"resident_bytes\": 18446744073709551615}]", "resident_bytes: not what"},
  };
  for (const auto& [text, reason] : wrong) {
    EXPECT_THAT(refusal(text), testing::AllOf(HasSubstr("scenario.json"), HasSubstr(reason))) << text;
  }
  EXPECT_EQ(ScenarioDevice::open(tree_.root() / "missing.json").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace shoal::node
