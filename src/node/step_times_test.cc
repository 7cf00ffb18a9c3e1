// Goal: what a step takes follows what steps take now, and a single slow one does not become the rule.
#include "node/step_times.h"

#include <gtest/gtest.h>

namespace shoal::node {
namespace {

using std::chrono::milliseconds;

TEST(StepTimes, AreUnknownBeforeTheFirstStep) {
  EXPECT_FALSE(StepTimes().step_us());
  EXPECT_FALSE(StepTimes().row_us());
}

TEST(StepTimes, AreMeansOfStepsAndOfRows) {
  StepTimes times;
  times.add(1, milliseconds(2));
  EXPECT_EQ(times.step_us(), 2000u);
  EXPECT_EQ(times.row_us(), 2000u);
  for (int i = 0; i < 200; ++i) times.add(4, milliseconds(8));
  EXPECT_EQ(times.step_us(), 8000u);
  EXPECT_EQ(times.row_us(), 2000u);
  times.add(4, milliseconds(88));
  EXPECT_NEAR(times.step_us().value_or(0), 13000, 10) << "one of 16";
  for (int i = 0; i < 32; ++i) times.add(4, milliseconds(40));  // it became five times slower
  EXPECT_GT(times.step_us().value_or(0), 35000u);
}

TEST(StepTimes, DoNotOverflow) {
  StepTimes times;
  times.add(1, std::chrono::hours(24 * 365));
  EXPECT_EQ(times.step_us(), UINT32_MAX);
}

}  // namespace
}  // namespace shoal::node
