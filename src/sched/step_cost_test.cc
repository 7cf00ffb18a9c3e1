// Goal: costs are the line that was measured; chunks bring a prompt through the pipe nearly as soon as the best size
// would, and hold nobody up who decodes.
#include "sched/step_cost.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace shoal::sched {
namespace {

CostLine line(double base, double row) {
  CostLine cost;
  for (int i = 0; i < 50; ++i) {
    for (const std::size_t rows : {1u, 2u, 5u, 9u}) {
      cost.measured(rows, Duration(static_cast<std::int64_t>(base + row * static_cast<double>(rows))));
    }
  }
  return cost;
}

TEST(CostLine, IsALineThroughWhatWasMeasured) {
  const CostLine cost = line(20000, 1000);
  EXPECT_NEAR(cost.microseconds(1), 21000, 10);
  EXPECT_NEAR(cost.microseconds(30), 50000, 100);
  EXPECT_NEAR(cost.per_row(), 1000, 10);
  EXPECT_EQ(CostLine().microseconds(5), 0);
  EXPECT_EQ(CostLine().per_row(), 0);
  EXPECT_NEAR(line(0, 1000).microseconds(7), 7000, 10);
}

TEST(CostLine, IsNeverBelowZero) {
  CostLine falling;  // measured while something else came to rest
  for (const std::size_t rows : {1u, 2u, 3u}) falling.measured(rows, Duration(9000 / rows));
  EXPECT_GT(falling.microseconds(1), 0);
  EXPECT_GE(falling.per_row(), 0);
  CostLine steep;
  steep.measured(4, Duration(100));
  steep.measured(8, Duration(9000));
  EXPECT_GE(steep.microseconds(1), 0);
}

// Kernels that take rows by fours: a step of few rows is not on any line.
TEST(RowCosts, AreThoseOfStepsWithAsManyRows) {
  const auto time = [](std::size_t rows) { return Duration(1000 * ((rows + 3) / 4) + 5000); };
  RowCosts costs;
  EXPECT_EQ(costs.microseconds(3), 0);
  for (int i = 0; i < 40; ++i) {
    for (const std::size_t rows : {1u, 4u, 5u, 40u}) costs.measured(rows, time(rows));
  }
  for (const std::size_t rows : {1u, 4u, 5u, 40u})
    EXPECT_NEAR(costs.microseconds(rows), static_cast<double>(time(rows).count()), 1);
  EXPECT_GT(costs.microseconds(20), costs.microseconds(5));  // never measured: the line's
  EXPECT_LT(costs.microseconds(20), costs.microseconds(40));
  for (int i = 0; i < 20; ++i) costs.measured(4, Duration(9000));
  EXPECT_NEAR(costs.microseconds(4), 9000, 10);
  for (int i = 0; i < 600; ++i) costs.measured(4, Duration(1000));  // 5 rows are long ago
  EXPECT_LT(costs.microseconds(5), 3000);
  EXPECT_GT(costs.microseconds(1000), 0);
}

// Stages in a row, each taking base + row * rows for a chunk, one chunk at a time.
struct Pipe {
  std::vector<double> base;
  double row = 1000;

  StepCosts costs() const {
    double sum = 0;
    for (const double each : base) sum += each;
    StepCosts costs;
    costs.trip.line = line(sum, row * static_cast<double>(base.size()));
    costs.stage = line(*std::max_element(base.begin(), base.end()), row);
    return costs;
  }
  // When a prompt is through.
  double prompt(std::size_t rows, std::size_t chunk_rows) const {
    std::vector<double> free(base.size(), 0);
    while (rows > 0) {
      const std::size_t chunk = std::min(rows, chunk_rows);
      double at = 0;
      for (std::size_t stage = 0; stage < base.size(); ++stage) {
        at = std::max(at, free[stage]) + base[stage] + row * static_cast<double>(chunk);
        free[stage] = at;
      }
      rows -= chunk;
    }
    return free.back();
  }
};

TEST(BestChunk, IsNearlyTheBestOfAllConstantOnes) {
  for (const std::size_t stages : {1u, 2u, 4u, 8u}) {
    for (const double base : {500.0, 5000.0, 50000.0}) {
      Pipe pipe{std::vector<double>(stages, base)};
      pipe.base[stages / 2] *= 2;
      const StepCosts costs = pipe.costs();
      for (const std::size_t prompt : {20u, 128u, 512u, 2000u}) {
        double best = std::numeric_limits<double>::max();
        for (std::size_t chunk = 8; chunk <= 63; ++chunk) best = std::min(best, pipe.prompt(prompt, chunk));
        const std::size_t ours_rows = best_chunk(costs, stages, prompt, 0, false, 63);
        const double ours = pipe.prompt(prompt, ours_rows);
        EXPECT_LE(ours, best * 1.05) << stages << " stages, base " << base << ", " << prompt << " rows";
      }
    }
  }
}

TEST(BestChunk, FollowsASlowLink) {
  Pipe pipe{{20000, 20000}, 100};  // large chunks are nearly free for the stages
  StepCosts costs = pipe.costs();
  const std::size_t without = best_chunk(costs, 2, 256, 0, false, 63);
  costs.link = line(2000, 3000);
  costs.trip.line = line(2 * 20000 + 3 * 2000, 2 * 100 + 3 * 3000);
  EXPECT_LT(best_chunk(costs, 2, 256, 0, false, 63), without);
  costs.link = line(50000, 0);  // latency alone keeps no link busy
  costs.trip.line = line(2 * 20000 + 3 * 50000, 2 * 100);
  EXPECT_EQ(best_chunk(costs, 2, 256, 0, false, 63), without);
}

TEST(BestChunk, HoldsUpThoseWhoDecodeThreeTimesAtMost) {
  StepCosts costs;
  costs.trip.line = line(40000, 2000);
  costs.stage = line(20000, 1000);
  const std::size_t chunk = best_chunk(costs, 2, 500, 4, true, 59);
  EXPECT_LE(costs.stage.microseconds(static_cast<double>(4 + chunk)), 3 * costs.stage.microseconds(4) + 1);
  EXPECT_GT(costs.stage.microseconds(static_cast<double>(5 + chunk)), 3 * costs.stage.microseconds(4) - 1);
  costs.stage = line(100, 1000);
  EXPECT_EQ(best_chunk(costs, 2, 500, 1, true, 62), 8u) << "or a prompt would never come through";
}

TEST(BestChunk, KnowsItsBounds) {
  EXPECT_EQ(best_chunk({}, 3, 500, 0, false, 63), 32u) << "nothing was measured";
  EXPECT_EQ(best_chunk({}, 3, 5, 0, false, 63), 5u);
  EXPECT_EQ(best_chunk({}, 3, 500, 60, true, 3), 3u);
  EXPECT_EQ(best_chunk({}, 3, 0, 0, false, 63), 0u);
  StepCosts costs;
  costs.trip.line = line(40000, 2000);  // no word of single stages
  for (const bool others : {false, true}) {
    EXPECT_EQ(best_chunk(costs, 3, 3, 1, others, 62), 3u);
    EXPECT_EQ(best_chunk(costs, 3, 100, 1, others, 2), 2u);
    EXPECT_EQ(best_chunk(costs, 3, 100, 63, others, 0), 0u);
    EXPECT_GE(best_chunk(costs, 3, 100, 1, others, 62), 8u);
  }
}

}  // namespace
}  // namespace shoal::sched
