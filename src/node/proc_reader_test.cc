// Goal: CPU use, memory and pressure are what /proc says, and unknown where it does not say it. How: trees as real
// devices have them, two readings half a second apart, and broken ones.
#include "node/proc_reader.h"

#include <fmt/format.h>

#include "node/device_test_support.h"

namespace shoal::node {
namespace {

using std::chrono::milliseconds;

// A phone of 8 cores with ticks of 10 ms: 400 ticks in the half second between two readings.
class ProcReaderTest : public ::testing::Test {
 protected:
  // Ticks of all cores together since the phone was started.
  void all_cores(std::int64_t user, std::int64_t nice, std::int64_t system, std::int64_t idle, std::int64_t iowait = 0,
                 std::int64_t guest = 0) {
    tree_.file("stat", fmt::format("cpu  {} {} {} {} {} 30 20 0 {} 0\ncpu0 1 2 3 4 5 6 7 0 0 0\nintr 5 6 7\n", user,
                                   nice, system, idle, iowait, guest));
  }
  void own(std::int64_t user, std::int64_t system, const std::string& name = "shoal") {
    tree_.file("self/stat", fmt::format("4711 ({}) S 1 4711 4711 0 -1 4194304 99 0 0 0 {} {} 0 0 20 0 9 0 555 1 2 3",
                                        name, user, system));
  }
  DeviceTelemetry read(milliseconds after = milliseconds(500)) {
    now_ += after;
    DeviceTelemetry device;
    reader_.read(now_, device);
    return device;
  }

  test::Tree tree_;
  ProcReader reader_{tree_.root(), {8, 100, 4096}};
  std::chrono::steady_clock::time_point now_{};
};

TEST_F(ProcReaderTest, CpuUseIsWhatPassedBetweenTwoReadings) {
  all_cores(1000, 0, 500, 90000);
  own(100, 10);
  auto device = read();
  EXPECT_FALSE(device.cpu_own_permille) << "one reading says nothing";
  EXPECT_FALSE(device.cpu_others_permille);
  // 400 ticks: 150 busy, of which 90 + 10 ours; waiting for a disk is nobody's use.
  all_cores(1120, 10, 520, 90200, 50);
  own(190, 20);
  device = read();
  EXPECT_EQ(device.cpu_own_permille, 250u);
  EXPECT_EQ(device.cpu_others_permille, 125u);
  all_cores(1120, 10, 520, 90600, 50);
  device = read();
  EXPECT_EQ(device.cpu_own_permille, 0u);
  EXPECT_EQ(device.cpu_others_permille, 0u);
}

// What a guest takes stands in user already.
TEST_F(ProcReaderTest, GuestsAreNotCountedTwice) {
  all_cores(1000, 0, 0, 0);
  own(0, 0);
  read();
  all_cores(1100, 0, 0, 100, 0, 100);
  EXPECT_EQ(read().cpu_others_permille, 500u);
}

TEST_F(ProcReaderTest, AProgramMayHaveAnyName) {
  all_cores(0, 0, 0, 0);
  own(0, 0, "a) S (b");
  read();
  all_cores(100, 0, 0, 100);
  own(50, 0, "a) S (b");
  EXPECT_EQ(read().cpu_own_permille, 250u);
}

// Android 8 and later: no app may read /proc/stat.
TEST_F(ProcReaderTest, OwnUseIsKnownWhereTheSystemsIsClosed) {
  tree_.unreadable("stat");
  own(100, 0);
  read();
  own(200, 0);  // a second of one core in half a second of eight
  const auto device = read();
  EXPECT_EQ(device.cpu_own_permille, 250u);
  EXPECT_FALSE(device.cpu_others_permille);
}

TEST_F(ProcReaderTest, ReadingsThatFollowAtOnceRepeatTheLast) {
  all_cores(0, 0, 0, 0);
  own(0, 0);
  read();
  all_cores(100, 0, 0, 300);
  own(100, 0);
  EXPECT_EQ(read().cpu_own_permille, 250u);
  all_cores(100, 0, 0, 301);
  EXPECT_EQ(read(milliseconds(10)).cpu_own_permille, 250u);
}

TEST_F(ProcReaderTest, CountersThatGoBackOrLieAreUnknown) {
  const std::vector<std::string> lies = {"",
                                         "cpu",
                                         "cpu  1 2 3\n",
                                         "cpu  1 2 x 4 5 6 7 8\n",
                                         "cpux\n",
                                         "cpu  -1 0 0 0 0",
                                         "cpu  0 0 0 99999999999999999999 0 0 0 0\n",
                                         "cpu  0 0 0 0 0 0 0 0\n"};
  for (const auto& lie : lies) {
    SCOPED_TRACE(lie);
    all_cores(1000, 0, 500, 90000);
    own(100, 10);
    read();
    tree_.file("stat", lie);
    const auto device = read();
    EXPECT_FALSE(device.cpu_others_permille);
  }
  all_cores(1000, 0, 500, 90000, 100);
  own(100, 10);
  read();
  all_cores(2000, 0, 500, 89000, 100);  // idle counts back
  EXPECT_FALSE(read().cpu_own_permille);
  own(50, 10);
  all_cores(3000, 0, 500, 89000, 100);
  EXPECT_FALSE(read().cpu_own_permille) << "our own time counts back";
  std::int64_t user = 3000;
  for (const std::string lie : {"", "4711 (shoal", "4711 (shoal) S 1 2", "1 (x) S 1 1 1 0 -1 0 0 0 0 0 a b 0"}) {
    own(60, 10);
    all_cores(user += 100, 0, 500, 89000, 100);
    read();
    tree_.file("self/stat", lie);
    all_cores(user += 100, 0, 500, 89000, 100);
    const auto device = read();
    EXPECT_FALSE(device.cpu_own_permille) << lie;
    EXPECT_FALSE(device.cpu_others_permille) << "of what is busy, nobody knows what is ours: " << lie;
  }
}

TEST_F(ProcReaderTest, MemoryIsWhatMeminfoSays) {
  tree_.file("meminfo",
             "MemTotal:        7633532 kB\nMemFree:          210044 kB\nMemAvailable:    2954416 kB\nBuffers:  1 kB\n");
  tree_.file("self/statm", "3500000 25600 900 1 0 40000 0\n");
  const auto device = read();
  EXPECT_EQ(device.memory_total_bytes, std::uint64_t{7633532} * 1024);
  EXPECT_EQ(device.memory_available_bytes, std::uint64_t{2954416} * 1024);
  EXPECT_EQ(device.resident_bytes, std::uint64_t{25600} * 4096);
}

TEST_F(ProcReaderTest, MemoryThatIsNotToldIsUnknown) {
  tree_.file("meminfo", "MemTotal:        7633532 kB\nMemFree:          210044 kB\n");  // before 3.14
  EXPECT_TRUE(read().memory_total_bytes);
  EXPECT_FALSE(read().memory_available_bytes);
  for (const std::string bad : {"MemAvailable:\n", "MemAvailable: x kB\n", "MemAvailable: -5 kB\n",
                                "MemAvailable: 5 MB\n", "MemAvailable: 9223372036854775807 kB\n"}) {
    tree_.file("meminfo", bad);
    EXPECT_FALSE(read().memory_available_bytes) << bad;
  }
  tree_.unreadable("meminfo");
  tree_.file("self/statm", "3500000\n");
  EXPECT_FALSE(read().memory_total_bytes);
  EXPECT_FALSE(read().resident_bytes);
}

TEST_F(ProcReaderTest, PressureIsTheShareOfTheLastTenSeconds) {
  tree_.file(
      "pressure/memory",
      "some avg10=1.53 avg60=0.87 avg300=0.20 total=52069\nfull avg10=0.04 avg60=0.00 avg300=0.00 total=23981\n");
  EXPECT_EQ(read().memory_some_permille, 15u);
  EXPECT_EQ(read().memory_full_permille, 0u);
  tree_.file("pressure/memory", "some avg10=100.00 avg60=0.87 avg300=0.20 total=1\n");
  EXPECT_EQ(read().memory_some_permille, 1000u);
  EXPECT_FALSE(read().memory_full_permille);
  for (const std::string bad : {"", "some\n", "some avg10=\n", "some avg10=x.yz\n", "some avg10=nan\n",
                                "some avg10=101.00 \n", "some avg10=-1.00\n", "some avg60=1.00 avg10=1.00\n"}) {
    tree_.file("pressure/memory", bad);
    EXPECT_FALSE(read().memory_some_permille) << bad;
  }
}

// A container, or another system, with nothing in /proc.
TEST_F(ProcReaderTest, NothingIsInvented) {
  read();
  EXPECT_EQ(read(), DeviceTelemetry());
}

// The system that this test runs on.
TEST(ProcReader, ReadsThisSystem) {
  ProcReader reader;
  DeviceTelemetry device;
  reader.read(std::chrono::steady_clock::now(), device);
  ASSERT_TRUE(device.resident_bytes);
  EXPECT_GT(*device.resident_bytes, std::uint64_t{1} << 20);
  ASSERT_TRUE(device.memory_available_bytes && device.memory_total_bytes);
  EXPECT_LE(*device.memory_available_bytes, *device.memory_total_bytes);
}

}  // namespace
}  // namespace shoal::node
