// Goal: a battery's charge, current and power are told in one unit and one direction, whatever its vendor writes, and
// what is not plausible is not told. How: power_supply trees as phones and laptops have them, and broken ones.
#include "node/battery.h"

#include "node/device_test_support.h"

namespace shoal::node {
namespace {

using BatteryTest = test::SensorTest<SysBattery>;

// Microamperes, negative out of the battery: as the kernel's documents say.
TEST_F(BatteryTest, APixel) {
  tree_.supply("usb", {{"type", "USB"}, {"online", "0"}, {"current_now", "0"}});
  tree_.supply("wireless", {{"type", "Wireless"}, {"online", "0"}});
  tree_.supply("maxfg", {{"type", "Unknown"}, {"capacity", "83"}});
  tree_.supply("battery", {{"type", "Battery"},
                           {"status", "Discharging"},
                           {"present", "1"},
                           {"capacity", "84"},
                           {"current_now", "-512500"},
                           {"voltage_now", "4012500"},
                           {"temp", "312"}});
  const auto device = read();
  EXPECT_EQ(device.battery_percent, 84u);
  EXPECT_EQ(device.battery_state, BatteryState::kDischarging);
  EXPECT_EQ(device.battery_current_ma, -512);
  EXPECT_EQ(device.battery_power_mw, -2054);
  EXPECT_EQ(device.battery_millicelsius, 31200);
}

// A Qualcomm phone: microamperes, positive out of the battery.
TEST_F(BatteryTest, AOnePlus) {
  tree_.supply("bms", {{"type", "BMS"}, {"capacity", "50"}});
  tree_.supply("battery", {{"type", "Battery"},
                           {"status", "Discharging"},
                           {"capacity", "61"},
                           {"current_now", "480468"},
                           {"voltage_now", "3874000"},
                           {"temp", "335"}});
  EXPECT_EQ(read().battery_current_ma, -480);
  tree_.supply("battery", {{"status", "Charging"}, {"current_now", "-2350000"}});
  EXPECT_EQ(read().battery_current_ma, 2350);
  EXPECT_EQ(read().battery_power_mw, 9103);
}

// Milliamperes.
TEST_F(BatteryTest, ASamsung) {
  SysBattery battery(tree_.root());
  const auto told = [&](const std::string& status, const std::string& current) {
    tree_.supply("battery", {{"type", "Battery"},
                             {"status", status},
                             {"capacity", "42"},
                             {"current_now", current},
                             {"voltage_now", "3850000"},
                             {"temp", "298"}});
    DeviceTelemetry device;
    battery.read(device);
    return device;
  };
  EXPECT_FALSE(told("Charging", "1650").battery_current_ma) << "1650 µA or mA: not to be told yet";
  EXPECT_FALSE(told("Charging", "1650").battery_power_mw);
  EXPECT_EQ(told("Charging", "1650").battery_percent, 42u);
  EXPECT_EQ(told("Discharging", "345").battery_current_ma, -345) << "no device is awake on 0.3 mA";
  EXPECT_EQ(told("Discharging", "345").battery_power_mw, -1328);
  EXPECT_EQ(told("Charging", "1650").battery_current_ma, 1650) << "now it is known";
  EXPECT_EQ(told("Full", "0").battery_current_ma, 0);
  EXPECT_EQ(told("Full", "0").battery_power_mw, 0);
  EXPECT_FALSE(told("Full", "12").battery_current_ma) << "which way?";
  EXPECT_FALSE(told("Not charging", "-80").battery_current_ma);
  EXPECT_FALSE(told("Unknown", "345").battery_current_ma);
  EXPECT_FALSE(told("Unknown", "345").battery_state);
}

// What a battery that is nearly full still takes is small, in microamperes too.
TEST_F(BatteryTest, AUnitThatWasSeenStays) {
  SysBattery battery(tree_.root());
  const auto told = [&](const std::string& status, const std::string& current) {
    tree_.supply("battery", {{"type", "Battery"}, {"status", status}, {"current_now", current}});
    DeviceTelemetry device;
    battery.read(device);
    return device.battery_current_ma;
  };
  EXPECT_EQ(told("Charging", "800000"), 800);
  EXPECT_EQ(told("Charging", "9000"), 9);
  EXPECT_EQ(told("Discharging", "9000"), -9);
}

// Power instead of current; a mouse's battery is not the system's, and sorts before it.
TEST_F(BatteryTest, ALaptop) {
  tree_.supply("AC", {{"type", "Mains"}, {"online", "1"}});
  tree_.supply("A_mouse", {{"type", "Battery"}, {"scope", "Device"}, {"capacity", "5"}, {"status", "Discharging"}});
  tree_.supply("BAT0", {{"type", "Battery"}, {"present", "0"}, {"capacity", "0"}});
  tree_.supply("BAT1", {{"type", "Battery"},
                        {"scope", "System"},
                        {"present", "1"},
                        {"status", "Charging"},
                        {"capacity", "77"},
                        {"power_now", "23400000"},
                        {"voltage_now", "12100000"}});
  const auto device = read();
  EXPECT_EQ(device.battery_percent, 77u);
  EXPECT_EQ(device.battery_state, BatteryState::kCharging);
  EXPECT_EQ(device.battery_power_mw, 23400);
  EXPECT_FALSE(device.battery_current_ma);
  EXPECT_FALSE(device.battery_millicelsius);
}

// A Raspberry Pi, a container, a phone that closes /sys.
TEST_F(BatteryTest, NoBattery) {
  EXPECT_EQ(read(), DeviceTelemetry());
  tree_.supply("rpi-poe", {{"type", "Mains"}, {"online", "0"}});
  EXPECT_EQ(read(), DeviceTelemetry());
  tree_.unreadable("class/power_supply/battery/type");
  EXPECT_EQ(read(), DeviceTelemetry());
}

TEST_F(BatteryTest, ValuesThatCannotBeAreNotTold) {
  tree_.supply("battery", {{"type", "Battery"}, {"status", "Discharging"}});
  const auto with = [&](const std::string& name, const std::string& value) {
    tree_.supply("battery", {{name, value}});
    const auto device = read();
    tree_.remove("class/power_supply/battery/" + name);
    return device;
  };
  DeviceTelemetry alone;
  alone.battery_state = BatteryState::kDischarging;
  EXPECT_EQ(read(), alone);
  const std::vector<std::pair<std::string, std::vector<std::string>>> impossible = {
      {"capacity", {"", "101", "-1", "84%", "99999999999999999999"}},
      {"current_now", {"", "0", "-2147483648", "-9223372036854775808", "25000000", "15000", "none"}},
      {"power_now", {"0", "500000001000", "9223372036854775807"}},
      {"temp", {"", "0", "-400", "1500", "-2731", "9223372036854775807"}},
  };
  for (const auto& [name, values] : impossible) {
    for (const auto& value : values) EXPECT_EQ(with(name, value), alone) << name << " " << value;
  }
  tree_.supply("battery", {{"current_now", "-500000"}});
  for (const char* volts : {"0", "4012", "-4012500", "61000000", ""}) {
    EXPECT_FALSE(with("voltage_now", volts).battery_power_mw) << volts;
  }
  tree_.unreadable("class/power_supply/battery/status");
  EXPECT_EQ(read(), DeviceTelemetry()) << "a current without its state has no direction";
}

TEST(BatteryStates, AreWhatTheKernelAndAndroidCallThem) {
  EXPECT_EQ(parse_battery_state("Charging\n"), BatteryState::kCharging);
  EXPECT_EQ(parse_battery_state("DISCHARGING"), BatteryState::kDischarging);
  EXPECT_EQ(parse_battery_state("Not charging"), BatteryState::kNotCharging);
  EXPECT_EQ(parse_battery_state("NOT_CHARGING"), BatteryState::kNotCharging);
  EXPECT_EQ(parse_battery_state("Full"), BatteryState::kFull);
  for (const char* other : {"", "Unknown", "Char", "Charging slowly"})
    EXPECT_FALSE(parse_battery_state(other)) << other;
}

}  // namespace
}  // namespace shoal::node
