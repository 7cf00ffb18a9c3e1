// Goal: the table's numbers are the records', and the sentence names what the shoal really waits for. How: traces made
// by hand, each with one thing that is slow.
#include "coordinator/trace_report.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::coordinator {
namespace {

using ::testing::HasSubstr;

// One stage's part in a step, in microseconds: link to it, queue, compute, send.
using Pass = std::array<std::int64_t, 4>;

class ReportTest : public ::testing::Test {
 protected:
  ReportTest() {
    trace_.plans.push_back({{3}, {}});
    for (std::uint64_t i = 1; i <= 3; ++i) {
      trace_.plans[0].stages.push_back({StageId{i}, {}, "phone-" + std::to_string(i), {0, 1}});
    }
  }
  void add(std::int64_t sent_us, const std::vector<Pass>& passes, std::int64_t back_us, RowCounts rows = {1, 0, 0},
           bool clocks_known = true) {
    TracedStep step;
    step.step = {trace_.steps.size() + 1};
    step.rows = rows;
    step.sent = Time(Duration(sent_us));
    step.clocks_known = clocks_known;
    step.link_back = Duration(back_us);
    for (const Pass& pass : passes) {
      step.passes.push_back({Duration(pass[0]), Duration(pass[1]), Duration(pass[2]), Duration(pass[3])});
    }
    trace_.end = std::max(trace_.end, step.sent + step.way());
    trace_.steps.push_back(std::move(step));
  }
  // `count` steps, one after the other, or one every `every_us`.
  void repeat(std::int64_t count, const std::vector<Pass>& passes, std::int64_t back_us, std::int64_t every_us = 0,
              bool clocks_known = true) {
    for (std::int64_t i = 0; i < count; ++i) {
      add(every_us > 0 ? i * every_us : trace_.end.time_since_epoch().count(), passes, back_us, {1, 0, 0},
          clocks_known);
    }
  }

  Trace trace_;
};

TEST_F(ReportTest, NoStepsNoSentence) {
  const TraceSummary summary = summarise(trace_);
  EXPECT_EQ(summary.steps, 0u);
  EXPECT_EQ(summary.bottleneck, "");
  EXPECT_TRUE(summarise(Trace{}).stages.empty());
}

TEST_F(ReportTest, TheNumbersAreTheRecords) {
  add(0, {{10, 0, 100, 5}, {20, 30, 200, 5}, {20, 0, 100, 0}}, 10);
  add(500, {{10, 0, 110, 5}, {20, 40, 210, 5}, {20, 0, 110, 0}}, 10);
  add(1040, {{10, 0, 120, 5}, {900, 50, 220, 5}, {20, 0, 120, 0}}, 10);
  const TraceSummary summary = summarise(trace_);
  EXPECT_EQ(summary.epoch, Epoch{3});
  EXPECT_EQ(summary.steps, 3u);
  EXPECT_EQ(summary.rows.decode, 3u);
  EXPECT_TRUE(summary.tokens);
  EXPECT_EQ(summary.way, Duration(540));
  EXPECT_EQ(summary.way_p95, Duration(1460));
  ASSERT_EQ(summary.stages.size(), 3u);
  EXPECT_EQ(summary.stages[1].compute, Duration(210));
  EXPECT_EQ(summary.stages[1].queue, Duration(40));
  EXPECT_EQ(summary.stages[0].send, Duration(5));
  EXPECT_NEAR(summary.stages[1].slowest, 2.0 / 3, 1e-9) << "the link to it was slower once";
  ASSERT_EQ(summary.links.size(), 4u);
  EXPECT_EQ(summary.links[0].from, "coordinator");
  EXPECT_EQ(summary.links[1].to, "stage 2");
  EXPECT_EQ(summary.links[3].to, "coordinator");
  EXPECT_NEAR(summary.links[1].slowest, 1.0 / 3, 1e-9);
  const double ways = 500 + 540 + 1460;
  EXPECT_NEAR(summary.links[1].share, 940 / ways, 1e-9);
  EXPECT_NEAR(summary.stages[1].share, (630 + 15) / ways, 1e-9);
  EXPECT_NEAR(summary.queue_share + summary.compute_share + summary.send_share + summary.link_share, 1, 1e-9);
  EXPECT_NEAR(summary.active, 1, 1e-9);
  EXPECT_NEAR(summary.steps_under_way, 1, 1e-9);
}

TEST_F(ReportTest, StepsWithoutTokensCountOnlyWhereNoneMakesTokens) {
  add(0, {{0, 0, 9000, 0}, {0, 0, 9000, 0}, {0, 0, 9000, 0}}, 0, {0, 32, 0});
  EXPECT_FALSE(summarise(trace_).tokens);
  EXPECT_EQ(summarise(trace_).way, Duration(27000));
  add(27000, {{0, 0, 10, 0}, {0, 0, 10, 0}, {0, 0, 10, 0}}, 0, {1, 0, 2});
  const TraceSummary summary = summarise(trace_);
  EXPECT_TRUE(summary.tokens);
  EXPECT_EQ(summary.steps, 2u);
  EXPECT_EQ(summary.steps_told, 1u);
  EXPECT_EQ(summary.way, Duration(30));
  EXPECT_EQ(summary.rows.draft, 2u);
  EXPECT_NEAR(summary.stages[0].busy, 9010.0 / 27030, 1e-9) << "a stage is as busy with prompts";
}

TEST_F(ReportTest, ThePlanWithMostStepsIsTold) {
  trace_.plans.push_back({{4}, {trace_.plans[0].stages[0]}});
  repeat(2, {{0, 0, 10, 0}, {0, 0, 10, 0}, {0, 0, 10, 0}}, 0);
  repeat(3, {{0, 0, 50, 0}}, 0);
  for (std::size_t i = 2; i < 5; ++i) trace_.steps[i].plan = 1;
  const TraceSummary summary = summarise(trace_);
  EXPECT_EQ(summary.epoch, Epoch{4});
  EXPECT_EQ(summary.stages.size(), 1u);
  EXPECT_EQ(summary.steps, 5u);
  EXPECT_EQ(summary.plans, 2u);
}

TEST_F(ReportTest, OneSlowStageOfAStream) {
  repeat(20, {{5, 0, 100, 0}, {5, 0, 610, 0}, {5, 0, 200, 0}}, 75);
  EXPECT_EQ(summarise(trace_).bottleneck, "Stage 2 on phone-2 computes for 61 % of a step: the others wait for it.");
}

TEST_F(ReportTest, EqualStagesOfAStreamWantMoreRequests) {
  repeat(20, {{5, 0, 300, 0}, {5, 0, 300, 0}, {5, 0, 300, 0}}, 5);
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("idle 67 % of the time"));
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("1.0 steps under way: more requests"));
}

TEST_F(ReportTest, AStageThatIsAlwaysBusyHoldsUpTheRest) {
  // Steps come every 100 us, and stage 3 takes 95 of them: whatever else is slow is hidden behind it.
  repeat(100, {{200, 0, 20, 0}, {200, 0, 20, 0}, {200, 0, 95, 0}}, 200, 100);
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("Stage 3 on phone-3 computes 8"));
  EXPECT_GT(summarise(trace_).steps_under_way, 5);
}

TEST_F(ReportTest, FullStagesAreSaidToBeFull) {
  repeat(1000, {{10, 0, 95, 0}, {10, 0, 95, 0}, {10, 0, 96, 0}}, 10, 100);
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("The pipeline is full"));
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("stage 3 on phone-3 most"));
}

TEST_F(ReportTest, ASlowLinkIsNamed) {
  repeat(20, {{50, 0, 100, 0}, {400, 0, 100, 0}, {50, 0, 100, 0}}, 200);
  const TraceSummary summary = summarise(trace_);
  EXPECT_THAT(summary.bottleneck, HasSubstr("Links take 70 % of a step"));
  EXPECT_THAT(summary.bottleneck, HasSubstr("from stage 1 to stage 2 with 40 %"));
  EXPECT_NEAR(summary.links[1].slowest, 1, 1e-9);
  trace_.plans[0].stages[0].relayed = true;
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("goes through the coordinator"));
}

TEST_F(ReportTest, LinksThatWereDividedEvenlyAreNotRanked) {
  repeat(20, {{200, 0, 100, 0}, {200, 0, 100, 0}, {200, 0, 100, 0}}, 200, 0, false);
  const TraceSummary summary = summarise(trace_);
  EXPECT_FALSE(summary.clocks_known);
  EXPECT_THAT(summary.bottleneck, HasSubstr("Links take 73 % of a step"));
  EXPECT_THAT(summary.bottleneck, ::testing::Not(HasSubstr("slowest")));
}

TEST_F(ReportTest, QueuesAreNamed) {
  repeat(50, {{0, 0, 100, 0}, {0, 600, 100, 0}, {0, 0, 100, 0}}, 0, 200);
  EXPECT_THAT(summarise(trace_).bottleneck, HasSubstr("wait in queues for 67 % of their way, longest before stage 2"));
}

TEST_F(ReportTest, OneStageAlone) {
  trace_.plans[0].stages.resize(1);
  repeat(10, {{5, 0, 990, 0}}, 5);
  EXPECT_EQ(summarise(trace_).bottleneck, "The only stage computes 99 % of the time: it is the limit.");
}

}  // namespace
}  // namespace shoal::coordinator
