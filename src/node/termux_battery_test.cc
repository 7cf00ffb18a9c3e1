// Goal: the battery of a phone that closes /sys is told as Termux's command prints it; a command that fails or hangs
// tells nothing, holds nobody up, and is not run often. How: shell scripts in the command's place.
#include "node/termux_battery.h"

#include <gmock/gmock.h>
#include <boost/asio/io_context.hpp>

#include "net/test_loop.h"
#include "node/device_test_support.h"

namespace shoal::node {
namespace {

using net::test::run_until;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr const char* kPixel = R"({
  "health": "GOOD",
  "percentage": 84,
  "plugged": "UNPLUGGED",
  "status": "DISCHARGING",
  "temperature": 31.200000762939453,
  "current": -512500
})";

TEST(TermuxBatteryText, IsReadAsTheCommandPrintsIt) {
  const auto reading = parse_termux_battery(kPixel);
  ASSERT_TRUE(reading.ok()) << reading.error().message;
  EXPECT_EQ(reading->percent, 84);
  EXPECT_EQ(reading->state, BatteryState::kDischarging);
  EXPECT_EQ(reading->current, -512500);
  EXPECT_EQ(reading->millicelsius, 31200);
  EXPECT_FALSE(reading->voltage_uv);
  const auto newer = parse_termux_battery(
      R"({"present": true, "voltage": 4012, "current": 480468, "percentage": 61, "status": "CHARGING"})");
  EXPECT_EQ(newer->voltage_uv, 4'012'000);
}

TEST(TermuxBatteryText, IsRefusedWhenItSaysNothing) {
  for (const char* bad : {"", "null", "[]", "{}", "\"x\"", "{\"percentage\": \"84\"}", "{\"status\": \"UNKNOWN\"}",
                          "{\"percentage\": 84", "Termux:API is not installed", "{\"percentage\": 1e300}"}) {
    const auto reading = parse_termux_battery(bad);
    ASSERT_FALSE(reading.ok()) << bad;
    EXPECT_THAT(reading.error().message, HasSubstr("termux-battery-status")) << bad;
  }
}

class TermuxBatteryTest : public ::testing::Test {
 protected:
  std::filesystem::path command(const std::string& script) {
    tree_.file("bin/termux-battery-status", "#!/bin/sh\necho run >> " + runs_file().string() + "\n" + script + "\n");
    const auto path = tree_.root() / "bin" / "termux-battery-status";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  std::filesystem::path runs_file() const { return tree_.root() / "runs"; }
  std::size_t runs() const {
    std::ifstream file(runs_file());
    std::string line;
    std::size_t count = 0;
    while (std::getline(file, line)) ++count;
    return count;
  }
  DeviceTelemetry read(TermuxBattery& battery) {
    DeviceTelemetry device;
    battery.read(now_, device);
    return device;
  }

  test::Tree tree_;
  boost::asio::io_context io_;
  net::test::Ticks ticks_{io_};
  std::chrono::steady_clock::time_point now_{};
};

TEST_F(TermuxBatteryTest, TellsWhatTheCommandSaidLastAndRunsItSeldom) {
  TermuxBattery battery(io_, command(std::string("cat <<EOF\n") + kPixel + "\nEOF"));
  EXPECT_EQ(read(battery), DeviceTelemetry()) << "it was started; nobody waits for it";
  ASSERT_TRUE(run_until(io_, [&] { return read(battery).battery_percent.has_value(); }));
  const auto device = read(battery);
  EXPECT_EQ(device.battery_percent, 84u);
  EXPECT_EQ(device.battery_current_ma, -512);
  EXPECT_EQ(device.battery_millicelsius, 31200);
  EXPECT_FALSE(device.battery_power_mw) << "no voltage, no power";
  for (int second = 0; second < 179; ++second) {
    now_ += std::chrono::seconds(1);
    read(battery);
  }
  EXPECT_EQ(runs(), 1u);
  now_ += std::chrono::seconds(1);
  ASSERT_TRUE(run_until(io_, [&] { return read(battery).battery_percent && runs() == 2; }));
}

TEST_F(TermuxBatteryTest, ACommandThatFailsTellsNothingAndWaitsLonger) {
  TermuxBattery battery(io_, command("exit 1"));
  read(battery);
  ASSERT_TRUE(run_until(io_, [&] { return runs() == 1; }));
  // When its failure has arrived cannot be seen from outside: it is due again after the longer time, not before.
  const int ticks = ticks_.count();
  ASSERT_TRUE(run_until(io_, [&] { return ticks_.count() > ticks + 50; }));
  now_ += kTermuxAfterFailure - std::chrono::seconds(1);
  EXPECT_EQ(read(battery), DeviceTelemetry());
  EXPECT_EQ(runs(), 1u);
  now_ += std::chrono::seconds(1);
  ASSERT_TRUE(run_until(io_, [&] {
    read(battery);
    return runs() == 2;
  }));
}

TEST_F(TermuxBatteryTest, ACommandThatHangsHoldsNobodyUp) {
  const auto began = std::chrono::steady_clock::now();
  {
    TermuxBattery battery(io_, command("sleep 1000"), milliseconds(300));
    read(battery);
    ASSERT_TRUE(run_until(io_, [&] { return runs() == 1; }));
    EXPECT_EQ(read(battery), DeviceTelemetry());
    now_ += kTermuxEvery;
    EXPECT_EQ(read(battery), DeviceTelemetry()) << "one at a time";
  }
  TermuxBattery another(io_, command("sleep 1000"));
  read(another);
  ASSERT_TRUE(run_until(io_, [&] { return runs() == 2; }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
}  // its end does not wait for the command

TEST_F(TermuxBatteryTest, TheCommandIsFoundOnThePath) {
  EXPECT_FALSE(TermuxBattery::find(""));
  const std::string bin = (tree_.root() / "bin").string();
  EXPECT_FALSE(TermuxBattery::find("/nowhere:" + bin + ":"));
  const auto path = command("exit 0");
  EXPECT_EQ(TermuxBattery::find("/nowhere:" + bin), path);
  EXPECT_EQ(TermuxBattery::find("::" + bin + ":/x"), path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  EXPECT_FALSE(TermuxBattery::find(bin)) << "not a program";
}

}  // namespace
}  // namespace shoal::node
