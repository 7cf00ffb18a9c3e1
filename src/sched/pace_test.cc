// Goal: a node's pace is what it keeps up: down soon, up late, and never for a moment's sake.
#include "sched/pace.h"

#include <gtest/gtest.h>

namespace shoal::sched {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

NodeId node(std::uint8_t number) {
  NodeId id;
  id.key.bytes[0] = number;
  return id;
}

class PacesTest : public ::testing::Test {
 protected:
  // A node that computes `rows` rows a step of a stage of 1000 bytes for so long, ten steps a second. The number of
  // changes of its pace.
  int run(std::uint8_t number, Duration of_a_step, Duration for_time, std::size_t rows = 1) {
    int changes = 0;
    for (const Time until = now_ + for_time; now_ < until; now_ += milliseconds(100)) {
      paces_.step(rows, of_a_step);
      changes += paces_.stage(node(number), 1000, rows, of_a_step, now_);
    }
    return changes;
  }
  double pace(std::uint8_t number) const { return paces_.weights_per_s(node(number)); }

  Paces paces_;
  Time now_{seconds(1)};
};

TEST_F(PacesTest, IsKnownAfterAWindow) {
  EXPECT_EQ(run(1, milliseconds(10), milliseconds(900)), 0);
  EXPECT_EQ(pace(1), 0);
  EXPECT_EQ(run(1, milliseconds(10), milliseconds(500)), 1);
  EXPECT_NEAR(pace(1), 100'000, 1);
  EXPECT_EQ(pace(2), 0);
}

TEST_F(PacesTest, GoesDownSoonAndUpLate) {
  run(1, milliseconds(10), seconds(5));
  EXPECT_EQ(run(1, milliseconds(50), seconds(1)), 0) << "one slow window is none";
  EXPECT_EQ(run(1, milliseconds(10), seconds(5)), 0);
  EXPECT_EQ(run(1, milliseconds(50), seconds(4)), 1);
  EXPECT_NEAR(pace(1), 20'000, 1);
  EXPECT_EQ(run(1, milliseconds(10), seconds(25)), 0);
  EXPECT_EQ(run(1, milliseconds(10), seconds(8)), 1);
  EXPECT_NEAR(pace(1), 100'000, 1);
}

TEST_F(PacesTest, FollowsTheNearestOfTheWindows) {
  run(1, milliseconds(10), milliseconds(1000));
  for (int i = 0; i < 3; ++i) {
    run(1, milliseconds(20), milliseconds(1000));
    run(1, milliseconds(50), milliseconds(1000));
  }
  EXPECT_NEAR(pace(1), 50'000, 5'000) << "as slow as it was all the time, not as it was at worst";
}

TEST_F(PacesTest, WhatGoesUpAndDownChangesLittle) {
  run(1, milliseconds(10), seconds(5));
  int changes = 0;
  for (int i = 0; i < 60; ++i) {
    changes += run(1, milliseconds(30), seconds(5));
    changes += run(1, milliseconds(10), seconds(5));
  }
  EXPECT_LE(changes, 1);
}

// Goal: what more rows cost is no slowness.
TEST_F(PacesTest, RowsAreTakenIntoAccount) {
  for (int i = 0; i < 20; ++i) {
    run(1, milliseconds(10), milliseconds(100), 1);
    run(1, milliseconds(40), milliseconds(100), 16);
  }
  const double before = pace(1);
  EXPECT_EQ(run(1, milliseconds(40), seconds(10), 16), 0);
  EXPECT_EQ(run(1, milliseconds(10), seconds(10), 1), 0);
  EXPECT_EQ(pace(1), before);
  EXPECT_NEAR(before, 100'000, 25'000);
}

TEST_F(PacesTest, AWindowOfLongAgoDoesNotCount) {
  run(1, milliseconds(10), seconds(5));
  run(1, milliseconds(80), milliseconds(400));
  now_ += seconds(60);
  EXPECT_EQ(run(1, milliseconds(10), seconds(10)), 0);
  EXPECT_EQ(run(1, milliseconds(10), Duration::zero()), 0);
}

TEST_F(PacesTest, WhatMakesNoSenseIsNotCounted) {
  for (int i = 0; i < 100; ++i) {
    now_ += milliseconds(100);
    EXPECT_FALSE(paces_.stage(node(1), 1000, 1, milliseconds(10), now_)) << "no step was told of";
  }
  paces_.step(1, milliseconds(10));
  for (int i = 0; i < 100; ++i) {
    now_ += milliseconds(100);
    EXPECT_FALSE(paces_.stage(node(1), 0, 1, milliseconds(10), now_));
    EXPECT_FALSE(paces_.stage(node(1), 1000, 1, Duration::zero(), now_));
  }
  EXPECT_EQ(pace(1), 0);
}

}  // namespace
}  // namespace shoal::sched
