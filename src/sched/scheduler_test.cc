// Goal: each promise of scheduler.h, one by one, on shoals small enough to follow by hand. src/sim checks them all
// together.
#include "sched/scheduler.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sched/scheduler_harness.h"

namespace shoal::sched {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;
using test::Harness;

TEST(Scheduler, WaitsForNodesToSettleThenPlansWithAllOfThem) {
  Harness h;
  h.on(Harness::joined(1)).on(Harness::joined(2));
  EXPECT_THAT(h.all<PublishPlan>(), IsEmpty());
  h.fire();
  ASSERT_THAT(h.all<PublishPlan>(), SizeIs(1));
  EXPECT_THAT(h.all<PublishPlan>()[0].plan.stages, SizeIs(2));
  const auto loads = h.all<LoadStage>();
  ASSERT_THAT(loads, SizeIs(2));
  EXPECT_TRUE(loads[0].range.first == 0 && loads[0].range.last == loads[1].range.first && loads[1].range.last == 4);
  EXPECT_EQ(h.snapshot().state, PlanState::kLoading);
  h.load_all();
  EXPECT_EQ(h.snapshot().state, PlanState::kServing);
}

TEST(Scheduler, NodesThatKeepJoiningCannotPutThePlanOffForEver) {
  Harness h(100);
  for (std::uint8_t i = 1; i < 30; ++i) h.wait(200ms).on(Harness::joined(i, 1000));
  EXPECT_THAT(h.all<PublishPlan>(), SizeIs(1));
}

TEST(Scheduler, FirstPlanWaitsForNodesMin) {
  Limits limits;
  limits.nodes_min = 3;
  Harness h(4, limits);
  h.on(Harness::joined(1)).on(Harness::joined(2)).wait(5s);
  EXPECT_THAT(h.all<PublishPlan>(), IsEmpty());
  EXPECT_THAT(h.snapshot().why_none, HasSubstr("2 of 3 nodes"));
  h.on(Harness::joined(3)).fire().load_all();
  EXPECT_EQ(h.snapshot().state, PlanState::kServing);
  h.on(NodeLost{Harness::node(3)});  // afterwards fewer will do
  EXPECT_EQ(h.snapshot().state, PlanState::kLoading);
}

TEST(Scheduler, SequenceRunsToItsLimit) {
  Harness h;
  h.serve(2).on(Harness::arrived(7, 5, 3)).run();
  EXPECT_THAT(h.tokens(7), ElementsAre(7004, 7005, 7006));
  ASSERT_THAT(h.ends(7), SizeIs(1));
  EXPECT_EQ(h.ends(7)[0].reason, FinishReason::kLength);
  EXPECT_EQ(h.snapshot().kv_tokens_reserved, 0u);
}

TEST(Scheduler, TokenThatEndsIsNotEmitted) {
  Harness h;
  h.serve(1).on(Harness::arrived(7, 5, 3));
  h.back(h.all<SendStep>()[0], true);
  EXPECT_THAT(h.tokens(7), IsEmpty());
  EXPECT_EQ(h.ends(7).at(0).reason, FinishReason::kStop);
}

TEST(Scheduler, PromptGoesInChunksThatFollowEachOtherAndOnlyItsLastRowWantsLogits) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 80));
  const auto steps = h.all<SendStep>();
  ASSERT_THAT(steps, SizeIs(3));  // stages + 1 under way: 32 + 32 + 16 rows
  std::uint32_t position = 0;
  for (const SendStep& step : steps) {
    EXPECT_LE(step.rows.size(), 32u);
    for (const Row& row : step.rows) {
      EXPECT_EQ(row.position, position);
      EXPECT_EQ(row.logits, position == 79 ? 1u : 0u);
      ++position;
    }
  }
  EXPECT_EQ(position, 80u);
}

// Goal: decode rows of many sequences spread over as many micro-batches as there are stages, each as large as the
// others.
TEST(Scheduler, DecodeRowsAreSpreadOverTheStages) {
  Limits limits;
  limits.settings.sequences_max = 8;
  Harness h(4, limits);
  h.serve(4);
  for (std::uint64_t i = 1; i <= 8; ++i) h.on(Harness::arrived(i, 1, 100));
  h.run(100);
  EXPECT_EQ(h.snapshot().steps_in_flight, 4u);
  const auto steps = h.all<SendStep>();
  for (std::size_t i = steps.size() - 4; i < steps.size(); ++i) EXPECT_THAT(steps[i].rows, SizeIs(2));
}

// Goal: with one stage all sequences share one micro-batch, though their tokens are told one by one.
TEST(Scheduler, TokensOfOneStepTravelOnTogether) {
  Harness h;
  h.serve(1);
  for (std::uint64_t i = 1; i <= 4; ++i) h.on(Harness::arrived(i, 1, 100));
  h.run(20);
  EXPECT_THAT(h.all<SendStep>().back().rows, SizeIs(4));
}

TEST(Scheduler, AdmitsFirstComeFirstServedWithinSequencesAndCells) {
  Limits limits;
  limits.settings.sequences_max = 2;
  limits.settings.kv_tokens_total = 100;
  limits.settings.context_tokens_max = 100;
  Harness h(4, limits);
  h.serve(1).on(Harness::arrived(1, 10, 50)).on(Harness::arrived(2, 10, 50)).on(Harness::arrived(3, 1, 1));
  EXPECT_EQ(h.snapshot().sequences_live, 1u);  // 60 + 60 cells are too many, and 3 does not overtake 2
  EXPECT_EQ(h.snapshot().sequences_waiting, 2u);
  EXPECT_EQ(h.snapshot().kv_tokens_reserved, 60u);
  h.on(SequenceCancelled{1});
  EXPECT_EQ(h.snapshot().sequences_live, 2u);
}

TEST(Scheduler, RefusesPromptsThatCannotWorkAndClipsAnswersToTheContext) {
  Limits limits;
  limits.settings.context_tokens_max = 16;
  Harness h(4, limits);
  h.serve(1).on(Harness::arrived(1, 16)).on(Harness::arrived(2, 0)).on(Harness::arrived(3, 4, 0));
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_THAT(h.ends(i), SizeIs(1));
    EXPECT_EQ(h.ends(i)[0].error.code, ErrorCode::kInvalidArgument);
  }
  EXPECT_THAT(h.ends(1)[0].error.message, HasSubstr("16 tokens and the context holds 16"));
  h.on(Harness::arrived(4, 14, 100)).run();
  EXPECT_THAT(h.tokens(4), SizeIs(2));
}

TEST(Scheduler, RefusesWhenTooManyWait) {
  Limits limits;
  limits.waiting_sequences_max = 2;
  Harness h(4, limits);
  for (std::uint64_t i = 1; i <= 3; ++i) h.on(Harness::arrived(i, 4));
  EXPECT_THAT(h.ends(2), IsEmpty());
  ASSERT_THAT(h.ends(3), SizeIs(1));
  EXPECT_EQ(h.ends(3)[0].error.code, ErrorCode::kResourceExhausted);
}

TEST(Scheduler, NoPlanForTooLongEndsWithThePlannersSentence) {
  Harness h(40);
  h.on(Harness::joined(1)).on(Harness::arrived(1, 4)).wait(59s);
  EXPECT_THAT(h.ends(1), IsEmpty());
  h.wait(2s);
  ASSERT_THAT(h.ends(1), SizeIs(1));
  EXPECT_EQ(h.ends(1)[0].error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(h.ends(1)[0].error.message, HasSubstr("360 B missing"));

  Harness empty;
  empty.on(Harness::arrived(1, 4)).wait(61s);
  ASSERT_THAT(empty.ends(1), SizeIs(1));
  EXPECT_EQ(empty.ends(1)[0].error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(empty.ends(1)[0].error.message, HasSubstr("the model needs"));
  EXPECT_THAT(empty.ends(1)[0].error.message, HasSubstr("shoal join"));
}

TEST(Scheduler, CancelEndsAtOnceAndFreesTheKv) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5)).on(Harness::arrived(2, 5));
  const SendStep first = h.all<SendStep>()[0];
  h.on(SequenceCancelled{1});
  EXPECT_EQ(h.ends(1).at(0).reason, FinishReason::kCancelled);
  h.run();  // its rows come back: nothing happens for it
  EXPECT_THAT(h.tokens(1), IsEmpty());
  std::vector<SequenceId> frees;
  for (const SendStep& step : h.all<SendStep>()) frees.insert(frees.end(), step.frees.begin(), step.frees.end());
  EXPECT_EQ(std::count(frees.begin(), frees.end(), first.rows[0].sequence), 1);
  h.clear().on(SequenceCancelled{1}).on(SequenceCancelled{99});
  EXPECT_THAT(h.actions, IsEmpty());
}

TEST(Scheduler, FreesGoAloneWhenNothingElseIsDue) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 1)).run();
  const auto steps = h.all<SendStep>();
  ASSERT_THAT(steps, SizeIs(2));
  EXPECT_THAT(steps[1].rows, IsEmpty());
  EXPECT_THAT(steps[1].frees, ElementsAre(steps[0].rows[0].sequence));
}

// Goal: a lost node means a pause. Tokens go on where they stopped, under a new epoch and a fresh SequenceId.
TEST(Scheduler, NodeLossContinuesTheAnswer) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 10)).run(3);
  const std::vector<Token> before = h.tokens(1);
  ASSERT_THAT(before, ElementsAre(1004, 1005, 1006));
  const SendStep stale = h.all<SendStep>().back();
  h.clear().on(NodeLost{Harness::node(2)});
  ASSERT_THAT(h.all<PublishPlan>(), SizeIs(1));
  h.load_all();
  const auto steps = h.all<SendStep>();
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_GT(steps[0].epoch, stale.epoch);
  EXPECT_NE(steps[0].rows[0].sequence, stale.rows[0].sequence);
  ASSERT_THAT(steps[0].rows, SizeIs(8));  // prompt and the tokens so far
  EXPECT_EQ(steps[0].rows[7].token, 1006);
  h.back(stale);  // too late
  EXPECT_THAT(h.tokens(1), IsEmpty());
  h.run();
  EXPECT_THAT(h.tokens(1), ElementsAre(1007, 1008, 1009, 1010, 1011, 1012, 1013));
}

// Goal: a stage whose range stays is not loaded again, and the answer goes on with its KV, also where there was no plan
// for a while; the KV of an answer that was given up meanwhile is freed by name before anything else.
TEST(Scheduler, SurvivingStageIsKeptWithItsKv) {
  Harness h(2);
  h.on(Harness::joined(1, 10)).on(Harness::joined(2, 10)).fire().load_all();
  const auto before = h.snapshot().plan->stages;
  h.on(Harness::arrived(2, 5, 100)).on(Harness::arrived(1, 5, 10)).run(4).clear();
  h.on(NodeLost{before[1].node});  // the other cannot hold both layers
  EXPECT_EQ(h.snapshot().state, PlanState::kNone);
  EXPECT_THAT(h.all<DropStage>(), IsEmpty());
  h.on(SequenceCancelled{2});
  h.on(Harness::joined(2, 10)).fire();
  ASSERT_THAT(h.all<LoadStage>(), SizeIs(1));
  EXPECT_EQ(h.snapshot().plan->stages[0].stage, before[0].stage);
  h.load_all();
  const auto steps = h.all<SendStep>();
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_THAT(steps[0].frees, SizeIs(1));
  EXPECT_THAT(steps[0].rows, IsEmpty());
  const auto replays = h.all<Replay>();
  ASSERT_THAT(replays, SizeIs(1));
  EXPECT_EQ(replays[0].request, 1u);
  EXPECT_EQ(replays[0].stage, before[0].stage);
  h.run();
  EXPECT_THAT(h.ends(1), SizeIs(1));
  EXPECT_EQ(h.snapshot().sequences_resumed, 1u);
}

TEST(Scheduler, SpareNodeComesAndGoesWithoutNotice) {
  Limits limits;
  limits.keep_plan = true;
  Harness h(4, limits);
  h.serve(2).on(Harness::joined(9)).on(NodeLost{Harness::node(9)}).on(Harness::joined(9)).on(Harness::joined(9));
  EXPECT_EQ(h.actions.size(), h.all<FetchShard>().size() + h.all<SetTimer>().size());
  h.on(NodeLost{Harness::node(1)});
  EXPECT_THAT(h.all<PublishPlan>().at(0).plan.stages, SizeIs(2));  // now it is used
}

TEST(Scheduler, NodeThatRejoinsHasLostItsStage) {
  Harness h;
  h.serve(2).on(Harness::joined(2));
  EXPECT_THAT(h.all<PublishPlan>(), SizeIs(1));
  EXPECT_EQ(h.snapshot().state, PlanState::kLoading);
}

// Goal: a node whose stage does not load is left out, tried again after a while, and given up after some tries.
TEST(Scheduler, FailedStageLeavesItsNodeOut) {
  Harness h;
  h.on(Harness::joined(1)).on(Harness::joined(2)).fire();
  h.on(StageFailed{h.all<LoadStage>()[1].stage, ErrorCode::kCorrupt, "bad shard"});
  ASSERT_THAT(h.all<PublishPlan>(), SizeIs(2));
  EXPECT_THAT(h.all<PublishPlan>()[1].plan.stages, SizeIs(1));

  Harness alone;
  alone.on(Harness::joined(1)).on(Harness::arrived(1, 4));
  int tries = 0;
  for (int second = 0; second < 300; ++second) {
    alone.wait(1s);
    for (StageId stage : std::exchange(alone.loading, {})) {
      ++tries;
      alone.on(StageFailed{stage, ErrorCode::kCorrupt, "bad shard"});
    }
  }
  EXPECT_EQ(tries, 3);
  ASSERT_THAT(alone.ends(1), SizeIs(1));
  EXPECT_THAT(alone.ends(1)[0].error.message, HasSubstr("n1: bad shard"));
  alone.on(Harness::joined(1)).fire().load_all();  // a new join is a new chance
  EXPECT_EQ(alone.snapshot().state, PlanState::kServing);
}

TEST(Scheduler, StageThatNeverBecomesReadyCountsAsFailed) {
  Harness h;
  h.on(Harness::joined(1)).on(Harness::joined(2)).fire();
  h.on(StageReady{h.all<LoadStage>()[0].stage}).clear().wait(31min);
  EXPECT_THAT(h.all<DropStage>(), SizeIs(2));  // the late one, and the one whose range grew
  EXPECT_THAT(h.all<PublishPlan>().at(0).plan.stages, SizeIs(1));
}

// Goal: a failed step costs a pause; the stages stay where they are.
TEST(Scheduler, FailedStepStartsANewEpochWithTheSameStages) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 3));
  const auto before = h.snapshot().plan->stages;
  const SendStep step = h.all<SendStep>()[0];
  h.on(StepFailed{step.epoch, step.step, ErrorCode::kInternal, "no"});
  EXPECT_THAT(h.all<LoadStage>(), IsEmpty());
  EXPECT_EQ(h.snapshot().plan->stages[1].stage, before[1].stage);
  EXPECT_EQ(h.all<SendStep>().back().frees.size(), 1u);
  h.on(StepFailed{step.epoch, step.step, ErrorCode::kInternal, "again"});  // stale: nothing
  h.run();
  EXPECT_THAT(h.tokens(1), SizeIs(3));
}

// Goal: a sequence that fails every step ends with that error and takes nobody with it.
TEST(Scheduler, PoisonedSequenceEndsAloneAfterThreeFailures) {
  Harness h;
  h.serve(2);
  for (std::uint64_t i = 1; i <= 4; ++i) h.on(Harness::arrived(i, 3, 20));
  std::set<std::pair<std::uint64_t, std::uint64_t>> handled;
  for (std::size_t at = 0, turns = 0; at < h.actions.size() && turns < 1000; ++at) {
    const auto* found = std::get_if<SendStep>(&h.actions[at]);
    if (!found) continue;
    ++turns;
    const SendStep step = *found;
    const bool poisoned = std::any_of(step.rows.begin(), step.rows.end(), [](const Row& r) { return r.request == 3; });
    if (poisoned) {
      h.on(StepFailed{step.epoch, step.step, ErrorCode::kInternal, "poison"});
      h.load_all();
    } else {
      h.back(step);
    }
  }
  ASSERT_THAT(h.ends(3), SizeIs(1));
  EXPECT_EQ(h.ends(3)[0].error.message, "poison");
  for (std::uint64_t i : {1, 2, 4}) {
    ASSERT_THAT(h.ends(i), SizeIs(1));
    EXPECT_EQ(h.ends(i)[0].kind, EmitKind::kEnd);
    EXPECT_THAT(h.tokens(i), SizeIs(20));
  }
}

TEST(Scheduler, TwoFailuresInARowLoadTheStagesAnew) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 3));
  for (int i = 0; i < 2; ++i) {
    const SendStep step = h.all<SendStep>().back();
    h.clear().on(StepFailed{step.epoch, step.step, ErrorCode::kInternal, "no"});
  }
  EXPECT_THAT(h.all<DropStage>(), SizeIs(2));
  EXPECT_THAT(h.all<LoadStage>(), SizeIs(2));
  h.load_all();
  EXPECT_THAT(h.all<SendStep>().back().frees, IsEmpty());
  h.run();
  EXPECT_THAT(h.tokens(1), SizeIs(3));
}

// Steps do not overtake each other: what comes back before an older one stands on rows that are lost.
TEST(Scheduler, StepThatIsOvertakenCountsAsFailed) {
  Harness h(8);
  h.serve(2);
  h.on(SequenceArrived{1, std::vector<Token>(100, 1), 5, 1});
  const auto steps = h.all<SendStep>();
  ASSERT_GE(steps.size(), 2u);
  h.clear().on(StepDone{steps[1].epoch, steps[1].step});
  ASSERT_EQ(h.all<PublishPlan>().size(), 1u);
  h.load_all();
  for (const SendStep& step : h.all<SendStep>()) EXPECT_GT(step.epoch.value, steps[0].epoch.value);
  h.on(StepDone{steps[0].epoch, steps[0].step});  // of the epoch that is over
  h.run();
  EXPECT_EQ(h.tokens(1).size(), 5u);
}

TEST(Scheduler, StepThatNeverComesBackCountsAsFailed) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 3));
  const Epoch before = h.epoch;
  h.wait(29s);
  EXPECT_EQ(h.epoch, before);
  h.wait(2s);
  EXPECT_GT(h.epoch, before);
  h.run();
  EXPECT_THAT(h.tokens(1), SizeIs(3));
}

TEST(Scheduler, IgnoresWhatMakesNoSense) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 3));
  const SendStep step = h.all<SendStep>()[0];
  h.clear();
  h.on(StepDone{step.epoch, {999}}).on(StepDone{{99}, step.step}).on(TokenSampled{step.epoch, {999}, 1, {5}, false});
  h.on(TokenSampled{step.epoch, step.step, 77, {5}, false}).on(NodeLost{Harness::node(77)}).on(StageReady{{99}});
  h.on(StageFailed{{99}, ErrorCode::kCorrupt, ""}).on(StepFailed{step.epoch, {999}, ErrorCode::kInternal, ""});
  h.on(Harness::arrived(1, 5, 3)).on(Harness::arrived(0, 5, 3));
  EXPECT_THAT(h.actions, IsEmpty());
  h.back(step);
  h.clear().back(step);  // a repetition
  EXPECT_THAT(h.actions, IsEmpty());
}

TEST(Scheduler, IdleShoalAsksForNoTimer) {
  Harness h;
  h.serve(2).on(Harness::arrived(1, 5, 3)).run();
  h.fire(3);
  EXPECT_FALSE(h.timer.has_value());
}

// Under --exact on, an answer that has begun waits for its own kernel family; a new one may begin in another.
TEST(ExactOn, AnAnswerNeverChangesItsKernelFamily) {
  Limits limits;
  limits.settings.exact = ExactMode::kOn;
  Harness h(4, limits);
  NodeJoined arm = Harness::joined(1);
  arm.profile.kernel_family = "arm";
  NodeJoined x86 = Harness::joined(2, 400);
  x86.profile.kernel_family = "x86";
  h.on(arm).fire().load_all();
  h.on(Harness::arrived(7, 4));
  h.on(x86);  // spare
  h.clear().on(NodeLost{Harness::node(1)});
  EXPECT_THAT(h.all<PublishPlan>(), IsEmpty());
  h.wait(limits.plan_wait_max + 1s);  // the answer ends, and with it the reason to wait
  ASSERT_THAT(h.all<Emit>(), SizeIs(1));
  EXPECT_EQ(h.all<Emit>()[0].kind, EmitKind::kError);
  EXPECT_THAT(h.all<Emit>()[0].error.message, HasSubstr("kernel family"));
  ASSERT_THAT(h.all<PublishPlan>(), SizeIs(1));
  EXPECT_EQ(h.all<PublishPlan>()[0].plan.stages[0].node, Harness::node(2));
}

}  // namespace
}  // namespace shoal::sched
