// Goal: temperatures and throttling are told from the sensors that mean them, in one unit, and nothing absurd is. How:
// thermal and cpufreq trees as phones, a laptop and a board have them, and broken ones.
#include "node/heat.h"

#include "node/device_test_support.h"

namespace shoal::node {
namespace {

using HeatTest = test::SensorTest<Heat>;

TEST_F(HeatTest, APixel) {
  tree_.zone(0, "BIG", "61000");
  tree_.zone(1, "MID", "58000");
  tree_.zone(2, "LITTLE", "55000");
  tree_.zone(3, "G3D", "72000");  // the graphics processor
  tree_.zone(4, "battery", "33100");
  tree_.zone(5, "quiet_therm", "37000");
  tree_.zone(6, "VIRTUAL-SKIN", "38421");
  tree_.zone(7, "usb_pwr_therm", "90000");
  tree_.cooler(0, "thermal-cpufreq-0", 0);
  tree_.cooler(1, "thermal-cpufreq-2", 0);
  tree_.cooler(2, "tpu_cooling", 3);
  tree_.cooler(3, "thermal-gpufreq-0", 2);
  tree_.cluster(0, 1803000, 1803000);
  tree_.cluster(4, 2348000, 2348000);
  tree_.cluster(6, 2850000, 2850000);
  auto device = read();
  EXPECT_EQ(device.cpu_millicelsius, 61000);
  EXPECT_EQ(device.skin_millicelsius, 38421);
  EXPECT_EQ(device.throttled, false);
  EXPECT_EQ(device.cpu_limit_permille, 1000u);
  tree_.cluster(6, 2850000, 1826000);
  device = read();
  EXPECT_EQ(device.throttled, true);
  EXPECT_EQ(device.cpu_limit_permille, 640u);
  tree_.cluster(6, 2850000, 2850000);
  tree_.cooler(1, "thermal-cpufreq-2", 4);
  device = read();
  EXPECT_EQ(device.throttled, true);
  EXPECT_EQ(device.cpu_limit_permille, 1000u);
}

// Zones in tenths of a degree, as older Qualcomm kernels have them; one sensor that is missing and one that fails.
TEST_F(HeatTest, AOnePlus) {
  tree_.zone(0, "tsens_tz_sensor1", "415");
  tree_.zone(1, "tsens_tz_sensor2", "438");
  tree_.zone(2, "tsens_tz_sensor3", "-400");
  tree_.zone(3, "cpu-1-0-usr", "43100");
  tree_.zone(4, "xo-therm-adc", "99000");
  tree_.zone(5, "quiet-therm-adc", "36");
  tree_.unreadable("class/thermal/thermal_zone6/temp");
  tree_.file("class/thermal/thermal_zone6/type", "cpuss-0-usr\n");
  EXPECT_EQ(read().cpu_millicelsius, 43800);
  EXPECT_EQ(read().skin_millicelsius, 36000);
  EXPECT_FALSE(read().throttled);
  EXPECT_FALSE(read().cpu_limit_permille);
}

TEST_F(HeatTest, ALaptop) {
  tree_.zone(0, "acpitz", "27800");
  tree_.zone(1, "x86_pkg_temp", "52000");
  tree_.zone(2, "iwlwifi_1", "95000");
  tree_.cooler(0, "Processor", 0);
  tree_.cooler(1, "Processor", 0);
  tree_.cooler(2, "intel_powerclamp", -1);
  tree_.cooler(3, "Fan", 1);
  tree_.cluster(0, 4200000, 4200000);
  EXPECT_EQ(read().cpu_millicelsius, 52000);
  EXPECT_FALSE(read().skin_millicelsius);
  EXPECT_EQ(read().throttled, false);
  tree_.cooler(1, "Processor", 3);
  EXPECT_EQ(read().throttled, true);
}

TEST_F(HeatTest, ARaspberryPi) {
  tree_.zone(0, "cpu-thermal", "48312");
  tree_.cluster(0, 1800000, 1800000);
  EXPECT_EQ(read().cpu_millicelsius, 48312);
  EXPECT_EQ(read().throttled, false);
}

TEST_F(HeatTest, AContainer) {
  EXPECT_EQ(read(), DeviceTelemetry());
}

TEST_F(HeatTest, AbsurdTemperaturesAreDropped) {
  const std::vector<std::string> absurd = {"0",
                                           "-40000",
                                           "-273000",
                                           "-1",
                                           "4",
                                           "199",
                                           "170",
                                           "1251",
                                           "4999",
                                           "125001",
                                           "255000",
                                           "",
                                           "n/a",
                                           "9223372036854775807",
                                           "-9223372036854775808"};
  for (const auto& value : absurd) {
    tree_.zone(0, "cpu-thermal", value);
    EXPECT_FALSE(read().cpu_millicelsius) << value;
    tree_.zone(1, "cpu-0-1", "41000");
    EXPECT_EQ(read().cpu_millicelsius, 41000) << "beside " << value;
    tree_.remove("class/thermal/thermal_zone1");
  }
  for (const auto& [value, millicelsius] :
       {std::pair{"41", 41000}, {"412", 41200}, {"41200", 41200}, {"125", 125000}}) {
    tree_.zone(0, "cpu-thermal", value);
    EXPECT_EQ(read().cpu_millicelsius, millicelsius) << value;
  }
}

TEST_F(HeatTest, ClocksThatCannotBeAreDropped) {
  tree_.cluster(0, 0, 0);
  tree_.cluster(1, -5, 1000);
  tree_.cluster(2, 2000000, 0);
  tree_.unreadable("devices/system/cpu/cpufreq/policy3/cpuinfo_max_freq");
  EXPECT_FALSE(read().cpu_limit_permille);
  EXPECT_FALSE(read().throttled);
  tree_.cluster(4, 2000000, 2500000);  // an overclocked one
  EXPECT_EQ(read().cpu_limit_permille, 1000u);
}

TEST_F(HeatTest, OnlySoManySensorsAreRead) {
  for (int i = 0; i < 100; ++i) tree_.zone(i, "cpu-0-" + std::to_string(i), std::to_string(30000 + 100 * i));
  EXPECT_EQ(read().cpu_millicelsius, 30000 + 100 * (static_cast<int>(kZonesMax) - 1));
}

}  // namespace
}  // namespace shoal::node
