// Goal: the parts of a step's way follow each other without a gap, fill it exactly, and are what the stages told, no
// matter what they tell; and a trace never holds more than its bound.
#include "coordinator/trace.h"

#include <limits>

#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::coordinator {
namespace {

constexpr Time at(std::int64_t us) {
  return Time(Duration(us));
}
ToldPass told(std::uint64_t stage, std::int64_t queue, std::int64_t compute, std::int64_t send,
              std::optional<Time> queued = {}) {
  return {StageId{stage}, Duration(queue), Duration(compute), Duration(send), queued};
}
sched::Row row(std::uint64_t sequence, std::uint32_t logits) {
  return {.sequence = {sequence}, .logits = logits};
}

TEST(CountRows, TellsTokensPromptsAndDraftsApart) {
  const auto counts = [](const std::vector<sched::Row>& rows) {
    const RowCounts c = count_rows(rows);
    return std::vector<std::uint32_t>{c.decode, c.prompt, c.draft};
  };
  using Counts = std::vector<std::uint32_t>;
  EXPECT_EQ(counts({}), (Counts{0, 0, 0}));
  EXPECT_EQ(counts({row(1, 5), row(2, 5)}), (Counts{2, 0, 0}));
  EXPECT_EQ(counts({row(1, 5), row(1, 5), row(1, 5), row(2, 5)}), (Counts{2, 0, 2}));
  EXPECT_EQ(counts({row(1, 0), row(1, 0), row(1, 0)}), (Counts{0, 3, 0}));
  EXPECT_EQ(counts({row(1, 5), row(2, 0), row(2, 0), row(2, 5)}), (Counts{1, 3, 0})) << "a prompt's end is prompt";
  EXPECT_EQ(counts({row(2, 0), row(2, 5), row(1, 5), row(1, 5)}), (Counts{1, 2, 1}));
}

TEST(LayOut, WithClocksEachLinkHasItsOwnTime) {
  const std::vector<ToldPass> stages = {told(1, 10, 100, 5, at(1020)), told(2, 0, 200, 5, at(1020 + 115 + 50))};
  const TracedStep step = lay_out(at(1000), at(1000 + 20 + 115 + 50 + 205 + 30), stages);
  EXPECT_TRUE(step.clocks_known);
  EXPECT_EQ(step.passes[0].link, Duration(20));
  EXPECT_EQ(step.passes[1].link, Duration(50));
  EXPECT_EQ(step.link_back, Duration(30));
  EXPECT_EQ(step.passes[0].queue, Duration(10));
  EXPECT_EQ(step.passes[1].compute, Duration(200));
  EXPECT_EQ(step.way(), Duration(420));
}

TEST(LayOut, WithoutClocksLinksShareEvenly) {
  const TracedStep step = lay_out(at(0), at(400), std::vector{told(1, 0, 100, 0), told(2, 0, 200, 0)});
  EXPECT_FALSE(step.clocks_known);
  EXPECT_EQ(step.passes[0].link, Duration(33));
  EXPECT_EQ(step.passes[1].link, Duration(33));
  EXPECT_EQ(step.link_back, Duration(34));
}

TEST(LayOut, OneClockOfThreeDividesWhatItCan) {
  const TracedStep step =
      lay_out(at(0), at(1000), std::vector{told(1, 0, 100, 0), told(2, 0, 100, 0, at(300)), told(3, 0, 100, 0)});
  EXPECT_FALSE(step.clocks_known);
  EXPECT_EQ(step.passes[0].link, Duration(100)) << "200 between the coordinator and the stage that tells";
  EXPECT_EQ(step.passes[1].link, Duration(100));
  EXPECT_EQ(step.passes[2].link, Duration(250));
  EXPECT_EQ(step.link_back, Duration(250));
}

TEST(LayOut, AClockThatContradictsTheDurationsYields) {
  // Stage 2 says that it had the step before stage 1 was done with it.
  const TracedStep early = lay_out(at(0), at(400), std::vector{told(1, 0, 100, 0, at(50)), told(2, 0, 100, 0, at(60))});
  EXPECT_EQ(early.passes[0].link, Duration(50));
  EXPECT_EQ(early.passes[1].link, Duration(0));
  EXPECT_EQ(early.link_back, Duration(150));
  // Stage 1 says that it had the step when it was back already.
  const TracedStep late = lay_out(at(0), at(400), std::vector{told(1, 0, 100, 0, at(5000))});
  EXPECT_EQ(late.passes[0].link, Duration(300));
  EXPECT_EQ(late.link_back, Duration(0));
}

TEST(LayOut, WhateverIsToldThePartsFillTheWay) {
  SplitMix64 random(5);
  const auto below = [&](std::uint64_t bound) { return static_cast<std::int64_t>(random.below(bound)); };
  constexpr std::int64_t kExtremes[] = {std::numeric_limits<std::int64_t>::min(), -1, 0, 1,
                                        std::numeric_limits<std::int64_t>::max()};
  for (int round = 0; round < 5000; ++round) {
    const Time sent = at(below(1'000'000));
    const Time returned = sent + Duration(below(5000));
    std::vector<ToldPass> stages(random.below(6));
    for (ToldPass& stage : stages) {
      stage = told(1, below(2000), below(2000), below(9) == 0 ? UINT32_MAX : 3);
      if (below(3) > 0) stage.queued = sent + Duration(below(6000) - 500);
      if (below(5) == 0) stage.queued = at(kExtremes[random.below(std::size(kExtremes))]);
    }
    const TracedStep step = lay_out(sent, returned, stages);
    EXPECT_EQ(step.way(), returned - sent);
    ASSERT_EQ(step.passes.size(), stages.size());
    EXPECT_GE(step.link_back, Duration(0));
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const TracedPass& pass = step.passes[i];
      for (const Duration part : {pass.link, pass.queue, pass.compute, pass.send}) EXPECT_GE(part, Duration(0));
      EXPECT_LE(pass.compute, stages[i].compute);
    }
  }
}

TracedPlan plan_of(std::uint64_t epoch, std::initializer_list<std::uint64_t> stages) {
  TracedPlan plan{{epoch}, {}};
  for (const std::uint64_t stage : stages) plan.stages.push_back({StageId{stage}, {}, "phone", {0, 1}});
  return plan;
}

TEST(TraceRecorder, KeepsStepsOfPlansInForce) {
  TraceRecorder recorder;
  recorder.add_plan(plan_of(1, {1}));
  recorder.add_step({1}, {1}, {}, at(0), at(10), std::vector{told(1, 1, 1, 1)});
  EXPECT_FALSE(recorder.recording());
  EXPECT_TRUE(recorder.stop(at(5)).steps.empty()) << "nothing was started";

  recorder.start(at(100));
  EXPECT_TRUE(recorder.recording());
  recorder.add_step({7}, {1}, {}, at(100), at(110), std::vector{told(1, 1, 1, 1)});  // of no plan
  recorder.add_plan(plan_of(7, {1, 2}));
  recorder.add_step({7}, {2}, {.decode = 3}, at(100), at(110), std::vector{told(1, 1, 1, 1), told(2, 1, 1, 1)});
  recorder.add_step({7}, {3}, {}, at(100), at(110), std::vector{told(2, 1, 1, 1), told(1, 1, 1, 1)});
  recorder.add_step({7}, {4}, {}, at(100), at(110), std::vector<ToldPass>{});
  recorder.set_relayed({6}, {1});
  recorder.set_relayed({7}, {2});
  recorder.add_plan(plan_of(8, {5}));
  recorder.add_step({8}, {5}, {}, at(100), at(110), std::vector{told(5, 1, 1, 1)});
  recorder.add_step({7}, {6}, {}, at(100), at(110), std::vector{told(1, 1, 1, 1), told(2, 1, 1, 1)});  // beside it
  const Trace trace = recorder.stop(at(200));
  EXPECT_FALSE(recorder.recording());
  EXPECT_EQ(trace.begin, at(100));
  EXPECT_EQ(trace.end, at(200));
  ASSERT_EQ(trace.steps.size(), 3u);
  EXPECT_EQ(trace.steps[0].step, StepId{2});
  EXPECT_EQ(trace.steps[0].rows.decode, 3u);
  EXPECT_EQ(trace.plans.at(trace.steps[0].plan).epoch, Epoch{7});
  EXPECT_EQ(trace.plans.at(trace.steps[1].plan).epoch, Epoch{8});
  EXPECT_EQ(trace.plans.at(trace.steps[2].plan).epoch, Epoch{7});
  EXPECT_EQ(trace.steps_left_out, 3u);
  EXPECT_FALSE(trace.plans[0].stages[0].relayed);
  EXPECT_TRUE(trace.plans[0].stages[1].relayed);
}

TEST(TraceRecorder, IsBounded) {
  TraceRecorder recorder;
  recorder.start(at(0));
  recorder.add_plan(plan_of(1, {1, 2}));
  const std::vector both = {told(1, 1, 1, 1), told(2, 1, 1, 1)};
  for (std::size_t i = 0; i < kTracedPassesMax; ++i) recorder.add_step({1}, {i + 1}, {}, at(0), at(10), both);
  for (std::size_t i = 0; i < 3 * kTracedPlansMax; ++i) recorder.add_plan(plan_of(i + 2, {1}));
  Trace trace = recorder.stop(at(20));
  EXPECT_EQ(trace.steps.size(), kTracedPassesMax / 2);
  EXPECT_EQ(trace.steps_left_out, kTracedPassesMax / 2);
  EXPECT_LE(trace.plans.size(), kTracedPlansMax + 1);

  recorder.start(at(30));  // the bound is each trace's own
  recorder.add_plan(plan_of(9, {1, 2}));
  recorder.add_step({9}, {1}, {}, at(30), at(40), both);
  EXPECT_EQ(recorder.stop(at(50)).steps.size(), 1u);
}

}  // namespace
}  // namespace shoal::coordinator
