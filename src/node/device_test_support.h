// For the tests of this folder: made-up trees of /proc and /sys, as files in a folder of their own.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/telemetry.h"
#include "model/test_models.h"

namespace shoal::node::test {

class Tree {
 public:
  std::filesystem::path root() const { return folder_ / "root"; }
  void file(const std::string& path, const std::string& text) {
    const auto whole = root() / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
    EXPECT_TRUE(std::filesystem::is_regular_file(whole)) << whole;
  }
  // In a file's place: what reading fails on for everybody, also for root.
  void unreadable(const std::string& path) {
    std::filesystem::remove(root() / path);
    std::filesystem::create_directories(root() / path);
  }
  void remove(const std::string& path) { std::filesystem::remove_all(root() / path); }

  // /sys
  using Values = std::vector<std::pair<std::string, std::string>>;
  void supply(const std::string& name, const Values& values) { files("class/power_supply/" + name, values); }
  void zone(int number, const std::string& type, const std::string& temp) {
    files("class/thermal/thermal_zone" + std::to_string(number), {{"type", type}, {"temp", temp}});
  }
  void cooler(int number, const std::string& type, int state) {
    files("class/thermal/cooling_device" + std::to_string(number),
          {{"type", type}, {"cur_state", std::to_string(state)}, {"max_state", "10"}});
  }
  void cluster(int number, int highest_khz, int limit_khz) {
    files("devices/system/cpu/cpufreq/policy" + std::to_string(number),
          {{"cpuinfo_max_freq", std::to_string(highest_khz)}, {"scaling_max_freq", std::to_string(limit_khz)}});
  }

 private:
  void files(const std::string& path, const Values& values) {
    for (const auto& [name, value] : values) file(path + "/" + name, value + "\n");
  }

  model::TemporaryFolder folder_;
};

// For what reads sensors below /sys: each read() is a new Sensor's first look at the tree.
template <typename Sensor>
class SensorTest : public ::testing::Test {
 protected:
  DeviceTelemetry read() {
    Sensor sensor(tree_.root());
    DeviceTelemetry device;
    sensor.read(device);
    return device;
  }
  Tree tree_;
};

}  // namespace shoal::node::test
