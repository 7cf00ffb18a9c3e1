// Goal: a node is spared in time, and comes back without flapping. How: reports of a phone every half a second, by
// tables, by a phone that swings and by a random walk.
#include "coordinator/care.h"

#include <functional>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Duration kInterval = milliseconds(500);

DeviceTelemetry battery(std::uint32_t percent, std::optional<BatteryState> state = BatteryState::kDischarging) {
  DeviceTelemetry device;
  device.battery_percent = percent;
  device.battery_state = state;
  return device;
}
DeviceTelemetry skin(std::int32_t millicelsius) {
  DeviceTelemetry device;
  device.skin_millicelsius = millicelsius;
  return device;
}

class CareTest : public ::testing::Test {
 protected:
  // Reports this for so long; the sentences of what changed.
  std::vector<std::string> tell(const DeviceTelemetry& device, Duration for_time = kInterval) {
    std::vector<std::string> texts;
    for (Duration told{}; told < for_time; told += kInterval) {
      if (auto change = care_.report(device, now_)) texts.push_back(change->text);
      now_ += kInterval;
    }
    return texts;
  }
  std::uint32_t share() const { return care_.verdict().share_permille; }

  Care care_;
  Time now_{std::chrono::hours(1)};
};

struct Case {
  const char* what;
  OwnerLimits limits;
  DeviceTelemetry device;
  std::uint32_t share_permille;
  const char* reason;
};

DeviceTelemetry cpu(std::int32_t millicelsius) {
  DeviceTelemetry device;
  device.cpu_millicelsius = millicelsius;
  return device;
}
DeviceTelemetry clock_of(std::optional<bool> throttled, std::optional<std::uint32_t> limit_permille) {
  DeviceTelemetry device;
  device.throttled = throttled;
  device.cpu_limit_permille = limit_permille;
  return device;
}
DeviceTelemetry pressure(std::uint32_t some_permille) {
  DeviceTelemetry device;
  device.memory_some_permille = some_permille;
  return device;
}
DeviceTelemetry hot_battery(std::int32_t millicelsius, std::int32_t skin_millicelsius) {
  DeviceTelemetry device = skin(skin_millicelsius);
  device.battery_millicelsius = millicelsius;
  return device;
}

// Goal: each rule at its edges, and what is unknown decides nothing.
TEST_F(CareTest, WhatANodeMayGet) {
  const OwnerLimits plain;
  const OwnerLimits careless{0, 0, 0, false};
  const OwnerLimits charging{20, 45, 85, true};
  using enum BatteryState;
  const std::vector<Case> cases = {
      {"nothing is known", plain, {}, 1000, ""},
      {"full enough", plain, battery(30), 1000, ""},
      {"near", plain, battery(29), 750, "battery 29 %, near its 20 %"},
      {"nearer", plain, battery(25), 500, "battery 25 %, near its 20 %"},
      {"on the limit", plain, battery(20), 250, "battery 20 %, near its 20 %"},
      {"below", plain, battery(19), 0, "battery 19 %, below its 20 %"},
      {"below, state unknown", plain, battery(19, std::nullopt), 0, "battery 19 %, below its 20 %"},
      {"below, charging", plain, battery(3, kCharging), 1000, ""},
      {"below, on external power", plain, battery(3, kNotCharging), 1000, ""},
      {"percent unknown", plain, {.battery_state = kDischarging}, 1000, ""},
      {"another limit", {50, 45, 85, false}, battery(49), 0, "battery 49 %, below its 50 %"},
      {"no limit", careless, battery(1), 1000, ""},
      {"warm", plain, skin(40'000), 1000, ""},
      {"warmer", plain, skin(40'100), 750, "case at 40.1 °C, near its 45 °C"},
      {"hot", plain, skin(43'000), 250, "case at 43.0 °C, near its 45 °C"},
      {"on the heat limit", plain, skin(45'000), 250, "case at 45.0 °C, near its 45 °C"},
      {"too hot", plain, skin(45'100), 0, "case at 45.1 °C, above its 45 °C"},
      {"a hot battery", plain, hot_battery(46'000, 44'000), 0, "battery at 46.0 °C, above its 45 °C"},
      {"a hotter case", plain, hot_battery(44'000, 46'000), 0, "case at 46.0 °C, above its 45 °C"},
      {"heat does not matter", careless, hot_battery(90'000, 90'000), 1000, ""},
      {"a busy processor", plain, cpu(79'000), 1000, ""},
      {"a hot processor", plain, cpu(83'000), 250, "processor at 83.0 °C, near its 85 °C"},
      {"too hot a processor", plain, cpu(86'000), 0, "processor at 86.0 °C, above its 85 °C"},
      {"not throttled", plain, clock_of(false, 1000), 1000, ""},
      {"held a little", plain, clock_of(true, 880), 1000, ""},
      {"held at 62 %", plain, clock_of(true, 620), 500, "processor held at 62 % of its clock"},
      {"held far down", plain, clock_of(true, 10), 250, "processor held at 1 % of its clock"},
      {"held, not called throttled", plain, clock_of(std::nullopt, 700), 750, "processor held at 70 % of its clock"},
      {"throttled, not said how", plain, clock_of(true, std::nullopt), 750, "processor slowed down by its system"},
      {"memory enough", plain, pressure(100), 1000, ""},
      {"memory short", plain, pressure(101), 750, "waits for memory 10 % of the time"},
      {"memory shorter", plain, pressure(400), 250, "waits for memory 40 % of the time"},
      {"memory on the limit", plain, pressure(500), 250, "waits for memory 50 % of the time"},
      {"about to be killed", plain, pressure(501), 0, "waits for memory 50 % of the time"},
      {"charging only: charging", charging, battery(80, kCharging), 1000, ""},
      {"charging only: full", charging, battery(100, kFull), 1000, ""},
      {"charging only: on external power", charging, battery(80, kNotCharging), 1000, ""},
      {"charging only: not", charging, battery(80), 0, "not charging, and its owner gives it only then"},
  };
  for (const Case& each : cases) {
    Care care;
    care.joined(each.limits);
    care.report(each.device, now_);
    EXPECT_EQ(care.verdict().share_permille, each.share_permille) << each.what;
    EXPECT_EQ(care.verdict().reason, each.reason) << each.what;
    EXPECT_EQ(care.verdict().drained(), each.share_permille == 0) << each.what;
  }
}

TEST_F(CareTest, MemoryThatIsShortIsSparedUntilItIsThere) {
  tell(pressure(0));
  EXPECT_THAT(tell(pressure(600), kWorseFor + kInterval), ElementsAre("drained: waits for memory 60 % of the time"));
  EXPECT_THAT(tell(pressure(110), minutes(3)), IsEmpty()) << "back from 10 %";
  EXPECT_EQ(care_.verdict().reason, "waits for memory 11 % of the time; back at 10 %");
  const auto back = tell(pressure(100), minutes(3));
  ASSERT_FALSE(back.empty());
  EXPECT_THAT(back[0], HasSubstr("comes back"));
}

TEST_F(CareTest, TheStrictestRuleCounts) {
  DeviceTelemetry device = battery(25);
  device.skin_millicelsius = 41'000;
  tell(device);
  EXPECT_EQ(share(), 500u);
  EXPECT_THAT(care_.verdict().reason, HasSubstr("battery 25 %"));
}

TEST_F(CareTest, OneOddReadingDrainsNobody) {
  tell(battery(80));
  EXPECT_TRUE(tell(battery(3), seconds(2)).empty()) << "one reading, told four times";
  EXPECT_TRUE(tell(battery(80), seconds(10)).empty());
  EXPECT_THAT(tell(battery(3), kWorseFor + kInterval), ::testing::ElementsAre("drained: battery 3 %, below its 20 %"));
}

TEST_F(CareTest, AWorseThatIsNotTheSameEachTimeTakesWhatAllSay) {
  tell(battery(80));
  for (int i = 0; i < 4; ++i) {
    tell(battery(25));
    tell(battery(12));
  }
  EXPECT_EQ(share(), 500u);
}

TEST_F(CareTest, ComesBackOnACharger) {
  tell(battery(80));
  tell(battery(14), seconds(10));
  ASSERT_EQ(share(), 0u);
  EXPECT_TRUE(tell(battery(24, BatteryState::kCharging), minutes(5)).empty());
  EXPECT_EQ(care_.verdict().reason, "battery 24 %, charging; back from 25 %");
  EXPECT_THAT(tell(battery(25, BatteryState::kCharging), seconds(10)),
              ::testing::ElementsAre("comes back: battery 25 %, charging"));
  EXPECT_EQ(share(), 1000u);
}

TEST_F(CareTest, WithoutAChargerItNeedsTenPointsMore) {
  tell(battery(19));
  EXPECT_TRUE(tell(battery(29), minutes(5)).empty());
  EXPECT_EQ(care_.verdict().reason, "battery 29 %; back from 30 %, or from 25 % on a charger");
  EXPECT_THAT(tell(battery(40), seconds(10)), ::testing::ElementsAre("comes back: battery 40 %"));
}

TEST_F(CareTest, ComesBackFiveDegreesBelow) {
  tell(skin(30'000));
  EXPECT_THAT(tell(skin(46'000), seconds(10)), ::testing::ElementsAre("drained: case at 46.0 °C, above its 45 °C"));
  EXPECT_TRUE(tell(skin(40'100), minutes(5)).empty());
  EXPECT_EQ(care_.verdict().reason, "case at 40.1 °C; back at 40 °C");
  EXPECT_THAT(tell(skin(39'500), seconds(10)),
              ::testing::ElementsAre("comes back with 50 %: case at 39.5 °C; all again at 38 °C"));
  EXPECT_THAT(tell(skin(37'900), minutes(2)), ::testing::ElementsAre("gets its whole share again: case at 37.9 °C"));
}

// Goal: what is not told any more neither drains nor, for ten minutes, brings back.
TEST_F(CareTest, SilenceDecidesNothing) {
  tell(battery(80));
  EXPECT_TRUE(tell({}, minutes(20)).empty());
  tell(battery(14), seconds(10));
  EXPECT_TRUE(tell({}, minutes(9)).empty());
  EXPECT_EQ(share(), 0u);
  tell({}, minutes(2));
  EXPECT_EQ(share(), 1000u);
}

// Goal: "only while charging" needs to know; and a moment without a word drains nobody.
TEST_F(CareTest, ChargingOnlyWantsToKnow) {
  care_.joined({20, 45, 85, true});
  DeviceTelemetry desktop;
  desktop.cpu_millicelsius = 50'000;
  EXPECT_TRUE(care_.verdict().drained());
  EXPECT_EQ(care_.verdict().reason, "has not told yet whether it is charging");
  EXPECT_TRUE(tell(desktop, seconds(2)).empty());
  EXPECT_THAT(tell(desktop, seconds(2)),
              ::testing::ElementsAre("drained: cannot tell whether it is charging, and its owner gives it only then"));
  EXPECT_THAT(tell(battery(50, BatteryState::kCharging), seconds(6)), ::testing::ElementsAre("comes back: charging"));
  EXPECT_TRUE(tell(desktop, seconds(2)).empty());
  EXPECT_EQ(tell(battery(50), seconds(4)).size(), 1u);
  Care charging;
  charging.joined({20, 45, 85, true});
  EXPECT_FALSE(charging.report(battery(50, BatteryState::kCharging), now_)) << "nothing to tell anybody";
  EXPECT_EQ(charging.verdict().share_permille, 1000u);
}

TEST_F(CareTest, TheVerdictStaysUntilItReportsAgain) {
  tell(battery(14));
  ASSERT_EQ(share(), 0u);
  care_.joined({});
  EXPECT_EQ(share(), 0u);
  tell(battery(26));
  EXPECT_EQ(share(), 0u) << "the margin holds for who was away for a moment";
  care_.joined({10, 45, 85, false});
  EXPECT_EQ(share(), 0u);
  tell({});
  EXPECT_EQ(share(), 0u) << "it has not told anything yet";
  tell(battery(26));
  EXPECT_EQ(share(), 1000u) << "its owner gives it more";
}

// What happened to a phone that reports `device_at` for so long.
struct Course {
  int worse = 0;
  int better = 0;
  std::vector<Time> better_at;
};
Course course_of(Care& care, Time now, Duration length, const std::function<DeviceTelemetry(Duration)>& device_at) {
  Course course;
  for (Duration at{}; at < length; at += kInterval) {
    const auto change = care.report(device_at(at), now + at);
    if (!change) continue;
    const bool better = change->step == CareStep::kBack || change->step == CareStep::kMore;
    ++(better ? course.better : course.worse);
    if (better) course.better_at.push_back(now + at);
  }
  return course;
}

// Goal: a phone that swings between well and bad is moved a few times and no more. How: an hour in which it swings
// every 10 s through all the margins; as it relapses each time, it is tried after 2, 4, 8, 16, 16, .. minutes.
TEST_F(CareTest, APhoneThatSwingsDoesNotFlap) {
  const std::vector<std::pair<DeviceTelemetry, DeviceTelemetry>> swings = {
      {skin(30'000), skin(50'000)},
      {battery(90, BatteryState::kCharging), battery(10)},
      {clock_of(false, 1000), clock_of(true, 400)},
      {cpu(40'000), cpu(99'000)},
  };
  for (const auto& [well, bad] : swings) {
    Care care;
    const Course course = course_of(care, now_, minutes(60), [&, &well = well, &bad = bad](Duration at) {
      return at / seconds(10) % 2 == 0 ? well : bad;
    });
    EXPECT_THAT(course.better, ::testing::AllOf(::testing::Ge(1), ::testing::Le(6)));
    EXPECT_LE(course.worse, course.better + 1);
  }
}

// Goal: swings within the margin change nothing after the first time.
TEST_F(CareTest, SwingsWithinTheMarginChangeNothing) {
  const Course course = course_of(care_, now_, minutes(60),
                                  [](Duration at) { return skin(at / seconds(10) % 2 == 0 ? 40'600 : 45'400); });
  EXPECT_EQ(course.better, 0);
  EXPECT_LE(course.worse, 4);
  EXPECT_EQ(share(), 0u);
}

// Goal: a phone that overheats at each try finds the share that it can keep up. How: its heat follows its share.
TEST_F(CareTest, TheShareFollowsWhatCanBeKeptUp) {
  double celsius = 30;
  const Course course = course_of(care_, now_, std::chrono::hours(6), [&](Duration) {
    const double target = 30 + 18.0 * share() / 1000;  // 48 °C under full load, 39 °C under half of it
    celsius += (target - celsius) * 0.5 / 120;         // with a time constant of two minutes
    return skin(static_cast<std::int32_t>(celsius * 1000));
  });
  EXPECT_LE(course.better, 6 * 60 / 16 + 6) << "tried every 16 minutes in the end";
  EXPECT_LT(celsius, 45);
}

// Goal: whatever a phone tells, it gets better once a minute at the most, its share is a step, a node that is well by
// far is not drained for longer than its rest, and one that is ill by far is drained. How: random walks.
TEST_F(CareTest, RandomWalksKeepTheRules) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SplitMix64 random(seed);
    Care care;
    const OwnerLimits limits;
    std::optional<Time> better_at;
    std::uint32_t before = kWholeShare;
    Duration well_for{};
    Duration ill_for{};
    std::int64_t percent = 60;
    std::int64_t skin_mc = 35'000;
    bool power = false;
    Time now = now_;
    for (int i = 0; i < 20'000; ++i, now += kInterval) {
      const auto step = [&](std::int64_t most) { return static_cast<std::int64_t>(random() % (2 * most + 1)) - most; };
      if (random() % 300 == 0) power = !power;
      if (random() % 4 == 0) percent = std::clamp<std::int64_t>(percent + step(3), 0, 100);
      skin_mc = std::clamp<std::int64_t>(skin_mc + step(800), 20'000, 60'000);
      DeviceTelemetry device =
          battery(static_cast<std::uint32_t>(percent), power ? BatteryState::kCharging : BatteryState::kDischarging);
      device.skin_millicelsius = static_cast<std::int32_t>(skin_mc);
      if (random() % 50 == 0) device = {};
      care.report(device, now);

      const std::uint32_t share = care.verdict().share_permille;
      ASSERT_EQ(share % kShareStep, 0u);
      ASSERT_LE(share, kWholeShare);
      ASSERT_EQ(care.verdict().reason.empty(), share == kWholeShare);
      if (share > before) {
        if (better_at) {
          ASSERT_GE(now - *better_at, kRestMin) << "seed " << seed;
        }
        better_at = now;
      }
      before = share;
      const bool told = device.battery_percent.has_value();
      const bool well = told && percent >= limits.battery_min_percent + 20 && skin_mc <= 37'000;
      const bool ill = told && ((percent < limits.battery_min_percent && !power) || skin_mc > 45'000);
      well_for = well ? well_for + kInterval : Duration{};
      ill_for = ill ? ill_for + kInterval : Duration{};
      ASSERT_TRUE(well_for <= kRestMax + kBetterFor || share == kWholeShare) << "seed " << seed;
      ASSERT_TRUE(ill_for <= 2 * (kWorseFor + kInterval) || share == 0) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace shoal::coordinator
