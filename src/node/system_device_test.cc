// Goal: a device tells what its system says, from all its sources together, without being held up by a slow one and at
// next to no cost. How: whole trees of devices, and this very system for the cost.
#include "node/system_device.h"

#include <ctime>

#include <gmock/gmock.h>

#include "net/test_loop.h"
#include "node/device_test_support.h"

namespace shoal::node {
namespace {

using net::test::run_until;
using std::chrono::milliseconds;

class SystemDeviceTest : public ::testing::Test {
 protected:
  SystemDevice::Options options() const { return {proc_.root(), sys_.root(), {}}; }
  // Reads until what is read in the background has arrived.
  DeviceTelemetry read_until(SystemDevice& device, const std::function<bool(const DeviceTelemetry&)>& condition) {
    DeviceTelemetry told;
    EXPECT_TRUE(run_until(io_, [&] { return condition(told = device.read(now_)); }));
    return told;
  }

  test::Tree proc_;
  test::Tree sys_;
  boost::asio::io_context io_;
  net::test::Ticks ticks_{io_};
  std::chrono::steady_clock::time_point now_{};
};

TEST_F(SystemDeviceTest, AWholePhone) {
  proc_.file("meminfo", "MemTotal: 7633532 kB\nMemAvailable: 2954416 kB\n");
  sys_.supply("battery", {{"type", "Battery"}, {"status", "Charging"}, {"capacity", "84"}, {"temp", "312"}});
  sys_.zone(0, "BIG", "61000");
  sys_.cluster(0, 2000000, 1500000);
  SystemDevice device(io_, options());
  const auto first = device.read(now_);
  EXPECT_TRUE(first.memory_available_bytes) << "/proc is read at once";
  EXPECT_FALSE(first.battery_percent) << "/sys is not waited for";
  const auto told = read_until(device, [](const auto& each) { return each.battery_percent.has_value(); });
  EXPECT_EQ(told.battery_state, BatteryState::kCharging);
  EXPECT_EQ(told.cpu_millicelsius, 61000);
  EXPECT_EQ(told.cpu_limit_permille, 750u);
  EXPECT_EQ(told.memory_available_bytes, std::uint64_t{2954416} * 1024);

  sys_.supply("battery", {{"capacity", "83"}});
  now_ += kSlowEvery - milliseconds(1);
  EXPECT_EQ(device.read(now_).battery_percent, 84u) << "not due yet";
  now_ += milliseconds(1);
  read_until(device, [](const auto& each) { return each.battery_percent == 83u; });
}

// The loop does not turn, so the second reading never comes to its end.
TEST_F(SystemDeviceTest, WhatADriverThatHangsSaidIsForgotten) {
  sys_.supply("battery", {{"type", "Battery"}, {"status", "Charging"}, {"capacity", "84"}});
  SystemDevice device(io_, options());
  read_until(device, [](const auto& each) { return each.battery_percent.has_value(); });
  const auto begun = now_ += kSlowEvery;
  EXPECT_EQ(device.read(begun).battery_percent, 84u);
  EXPECT_EQ(device.read(begun + kSlowMax - milliseconds(1)).battery_percent, 84u);
  EXPECT_EQ(device.read(begun + kSlowMax).battery_percent, std::nullopt);
  now_ = begun + kSlowMax;
  read_until(device, [](const auto& each) { return each.battery_percent == 84u; });
}

TEST_F(SystemDeviceTest, AContainerTellsNothing) {
  SystemDevice device(io_, options());
  const int ticks = ticks_.count();
  read_until(device, [&](const auto& told) {
    EXPECT_EQ(told, DeviceTelemetry());
    return ticks_.count() > ticks + 50;
  });
}

TEST_F(SystemDeviceTest, TermuxIsAskedOnlyWhereTheSystemHasNoBattery) {
  sys_.file("bin/termux", "#!/bin/sh\necho >> " + (sys_.root() / "ran").string() + "; echo '{\"percentage\": 55}'\n");
  auto with_termux = options();
  with_termux.termux = sys_.root() / "bin" / "termux";
  std::filesystem::permissions(*with_termux.termux, std::filesystem::perms::owner_all);
  {
    SystemDevice closed(io_, with_termux);
    read_until(closed, [](const auto& told) { return told.battery_percent == 55u; });
  }
  ASSERT_TRUE(std::filesystem::remove(sys_.root() / "ran"));
  sys_.supply("battery", {{"type", "Battery"}, {"status", "Full"}, {"capacity", "100"}});
  SystemDevice open(io_, with_termux);
  read_until(open, [](const auto& told) { return told.battery_percent == 100u; });
  for (int i = 0; i < 10; ++i) open.read(now_ += std::chrono::seconds(100));
  EXPECT_FALSE(std::filesystem::exists(sys_.root() / "ran"));
}

// A second of telemetry is two readings; 0.5 % of a core are 5 ms. This system's /proc, and a phone's /sys as files.
// Counted is all that this process computes, on every thread, so nothing else may run in it: there is nothing.
TEST_F(SystemDeviceTest, CostsUnderHalfAPercentOfACore) {
  for (int i = 0; i < 100; ++i) sys_.zone(i, i % 2 == 0 ? "cpu-0-" + std::to_string(i) : "skin-therm", "41000");
  for (int i = 0; i < 30; ++i) sys_.cooler(i, "thermal-cpufreq-" + std::to_string(i), 0);
  for (int i = 0; i < 8; ++i) sys_.cluster(i, 2000000, 2000000);
  sys_.supply("battery", {{"type", "Battery"},
                          {"status", "Discharging"},
                          {"capacity", "84"},
                          {"current_now", "-512500"},
                          {"voltage_now", "4012500"},
                          {"temp", "312"}});
  auto phone = options();
  phone.proc = "/proc";
  boost::asio::io_context io;
  SystemDevice device(io, phone);
  const auto cpu_ms = [] {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
  };
  constexpr int kSeconds = 100;
  auto now = std::chrono::steady_clock::time_point();
  const double before = cpu_ms();
  for (int i = 0; i < 2 * kSeconds; ++i) {
    device.read(now += milliseconds(500));
    io.restart();
    io.poll();
  }
  const double ms_a_second = (cpu_ms() - before) / kSeconds;
  RecordProperty("cpu_us_a_second", static_cast<int>(ms_a_second * 1000));
  EXPECT_LT(ms_a_second, 5);
}

}  // namespace
}  // namespace shoal::node
