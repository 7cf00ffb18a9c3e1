// Goal: the big cores of real phones' sysfs trees are found, and nothing else is.
#include "engine/cpu_topology.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::engine {
namespace {

using testing::ElementsAre;

class CpuTopologyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-cpus-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // `file` of the cores from `first` on, one value each; 0: the core has no such file.
  void write(const char* file, std::uint32_t first, const std::vector<std::uint64_t>& values) {
    for (std::uint64_t value : values) {
      const auto path = root_ / ("cpu" + std::to_string(first++)) / file;
      std::filesystem::create_directories(path.parent_path());
      if (value != 0) std::ofstream(path) << value << "\n";
    }
  }
  std::filesystem::path root_;
};

TEST_F(CpuTopologyTest, Snapdragon845ByCapacity) {
  write("cpu_capacity", 0, {399, 399, 399, 399, 1024, 1024, 1024, 1024});
  write("cpufreq/cpuinfo_max_freq", 0, std::vector<std::uint64_t>(8, 2000000));  // less than capacity says
  const auto cpus = read_cpu_topology(root_, {});
  EXPECT_THAT(cpus.big, ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(cpus.usable.size(), 8u);
  EXPECT_TRUE(cpus.big_little());
}

TEST_F(CpuTopologyTest, Snapdragon845ByFrequency) {
  write("cpufreq/cpuinfo_max_freq", 0, {1766400, 1766400, 1766400, 1766400, 2803200, 2803200, 2803200, 2803200});
  EXPECT_THAT(read_cpu_topology(root_, {}).big, ElementsAre(4, 5, 6, 7));
}

TEST_F(CpuTopologyTest, Snapdragon865PrimeAndBigTogether) {
  write("cpu_capacity", 0, {294, 294, 294, 294, 871, 871, 871, 1024});
  EXPECT_THAT(read_cpu_topology(root_, {}).big, ElementsAre(4, 5, 6, 7));
}

TEST_F(CpuTopologyTest, Snapdragon865ByFrequency) {
  write("cpufreq/cpuinfo_max_freq", 0, {1804800, 1804800, 1804800, 1804800, 2419200, 2419200, 2419200, 2841600});
  EXPECT_THAT(read_cpu_topology(root_, {}).big, ElementsAre(4, 5, 6, 7));
}

TEST_F(CpuTopologyTest, UniformMachineUsesAllCores) {
  write("cpufreq/cpuinfo_max_freq", 0, {3900000, 3900000, 3800000, 3900000});
  const auto cpus = read_cpu_topology(root_, {});
  EXPECT_THAT(cpus.big, ElementsAre(0, 1, 2, 3));
  EXPECT_FALSE(cpus.big_little());
}

TEST_F(CpuTopologyTest, NothingKnownMeansAllCores) {
  write("topology/core_id", 0, {1, 1});
  EXPECT_THAT(read_cpu_topology(root_, {}).big, ElementsAre(0, 1));
}

TEST_F(CpuTopologyTest, OnlyAllowedCoresCount) {
  write("cpu_capacity", 0, {399, 399, 399, 399, 1024, 1024, 1024, 1024});
  EXPECT_THAT(read_cpu_topology(root_, {0, 1, 5}).big, ElementsAre(5));
  const auto little = read_cpu_topology(root_, {2, 3});  // a background process on Android
  EXPECT_THAT(little.big, ElementsAre(2, 3));
  EXPECT_FALSE(little.big_little());
}

TEST_F(CpuTopologyTest, BrokenFilesAreNotBelieved) {
  write("cpu_capacity", 0, {1024, 0, 399});
  write("cpufreq/cpuinfo_max_freq", 0, {2000000, 2000000, 2000000});
  EXPECT_THAT(read_cpu_topology(root_, {}).big, ElementsAre(0, 1, 2));
  std::ofstream(root_ / "cpu1" / "cpu_capacity") << "many\n";
  EXPECT_THAT(read_cpu_topology(root_, {}).big, ElementsAre(0, 1, 2));
}

TEST_F(CpuTopologyTest, ThisMachineHasACore) {
  EXPECT_FALSE(read_cpu_topology().big.empty());
}

}  // namespace
}  // namespace shoal::engine
