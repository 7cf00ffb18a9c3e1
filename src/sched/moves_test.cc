// Goal: while all is well the plan changes to a quicker one, where that pays: made ready beside the one that serves,
// with the answers going on, and not for ever to and fro.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sched/placement.h"
#include "sched/scheduler_harness.h"

namespace shoal::sched {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Harness;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;

constexpr std::uint64_t kModelBytes = 120;  // 12 layers of 10

class MovesTest : public ::testing::Test {
 protected:
  void serve(std::uint8_t count, std::uint64_t memory_bytes = 1000, Limits limits = {}) {
    h_ = std::make_unique<Harness>(12, limits);
    for (std::uint8_t i = 1; i <= count; ++i) h_->on(Harness::joined(i, memory_bytes));
    h_->fire().load_all();
    ASSERT_EQ(h_->snapshot().state, PlanState::kServing);
    // A layer takes a millisecond a row, on a node that is not slow.
    h_->stage_time = [this](const PlannedPlan::Stage& stage) {
      const auto slow = slow_.find(stage.node);
      return milliseconds(stage.range.count()) * (slow == slow_.end() ? 1 : slow->second);
    };
    h_->clear();
  }
  void join(std::uint8_t number, std::uint64_t memory_bytes = 1000) { h_->on(Harness::joined(number, memory_bytes)); }
  // Requests are answered for so long: a step each tenth of a second.
  void work(Duration time) {
    for (const Time until = h_->now + time; h_->now < until; h_->wait(milliseconds(100))) {
      if (h_->snapshot().sequences_live == 0) h_->on(Harness::arrived(++request_, 3, 100));
      const auto steps = h_->all<SendStep>();
      if (steps.size() <= sent_) continue;
      const SendStep& next = steps[sent_++];
      if (next.epoch == h_->epoch) h_->back(next);
    }
  }
  std::uint32_t layers_of(std::uint8_t number) const {
    const Snapshot snapshot = h_->snapshot();
    for (const auto& stage : snapshot.plan->stages) {
      if (stage.node == Harness::node(number)) return stage.range.count();
    }
    return 0;
  }
  std::size_t plans() const { return h_->all<PublishPlan>().size(); }

  std::unique_ptr<Harness> h_;
  std::map<NodeId, int> slow_;  // how many times as slow
  std::uint64_t request_ = 0;
  std::size_t sent_ = 0;
};

TEST_F(MovesTest, ANodeThatJoinsGetsLayersWhileTheOthersServe) {
  serve(3);
  h_->on(Harness::arrived(1, 5, 60)).run(10);
  join(4);
  EXPECT_THAT(h_->all<LoadStage>(), IsEmpty()) << "more may come";
  h_->wait(kMoveEvery);
  EXPECT_THAT(h_->all<LoadStage>(), SizeIs(4)) << "all ranges are others now";
  EXPECT_EQ(plans(), 0u);
  EXPECT_THAT(h_->snapshot().move, HasSubstr("4 nodes hold 12 layers"));
  const std::size_t tokens = h_->tokens(1).size();
  h_->run(30);
  EXPECT_GT(h_->tokens(1).size(), tokens) << "it serves on meanwhile";
  h_->load_all();
  EXPECT_EQ(plans(), 1u);
  EXPECT_EQ(h_->snapshot().state, PlanState::kServing);
  EXPECT_EQ(layers_of(4), 3u);
  EXPECT_THAT(h_->all<DropStage>(), SizeIs(testing::Ge(3u)));
  h_->run();
  EXPECT_THAT(h_->tokens(1), SizeIs(60));
  EXPECT_EQ(h_->ends(1).at(0).reason, FinishReason::kLength);
}

TEST_F(MovesTest, NothingChangesForLittleOrWhereThePlanIsKept) {
  serve(6);
  join(7);  // 12 layers over 7 nodes: the slowest has two, as before
  h_->wait(seconds(60));
  EXPECT_EQ(plans(), 0u);
  EXPECT_THAT(h_->snapshot().why_no_move,
              MatchesRegex("the best plan would be 1.* times as quick; it moves from 1.15 on"));
  Limits limits;
  limits.keep_plan = true;
  serve(3, 1000, limits);
  join(4);
  h_->wait(seconds(60));
  EXPECT_EQ(plans(), 0u);
  EXPECT_THAT(h_->all<LoadStage>(), IsEmpty());
}

// Goal: an exact plan does not become one that is not, for the sake of speed.
TEST_F(MovesTest, StayInTheKernelFamily) {
  for (const ExactMode exact : {ExactMode::kAuto, ExactMode::kOff}) {
    Limits limits;
    limits.settings.exact = exact;
    serve(2, 1000, limits);
    NodeJoined other = Harness::joined(3, 1000);
    other.profile.kernel_family = "other kernels";
    h_->on(other).wait(seconds(30)).load_all();
    EXPECT_EQ(plans(), exact == ExactMode::kOff ? 1u : 0u);
    if (exact == ExactMode::kOff) continue;
    h_->on(NodePaused{Harness::node(1)}).load_all();
    EXPECT_THAT(h_->snapshot().plan->stages, SizeIs(2)) << "better than to serve on a node that is to rest";
    EXPECT_EQ(layers_of(3), 6u);
  }
}

TEST_F(MovesTest, SpareNodesStaySpareAsManyAsAreWanted) {
  Limits limits;
  limits.spares = 1;
  serve(3, 1000, limits);
  EXPECT_THAT(h_->snapshot().plan->stages, SizeIs(2));
  join(4);
  h_->wait(seconds(30)).load_all();
  EXPECT_THAT(h_->snapshot().plan->stages, SizeIs(3));
}

TEST_F(MovesTest, ANodeThatBecomesSlowLosesLayers) {
  serve(3);
  work(seconds(6));
  EXPECT_EQ(plans(), 0u);
  slow_[Harness::node(2)] = 5;
  const Time before = h_->now;
  while (plans() == 0 && h_->now < before + seconds(30)) {
    work(milliseconds(100));
    h_->load_all();
  }
  EXPECT_EQ(plans(), 1u);
  EXPECT_LT(h_->now, before + seconds(10));
  EXPECT_EQ(layers_of(2), 1u);
  EXPECT_THAT(h_->all<PublishPlan>()[0].plan.explanation, HasSubstr("times as quick as the plan before"));
  work(seconds(60));
  h_->load_all();
  EXPECT_EQ(plans(), 1u);
}

// Goal: a node whose pace goes up and down does not drag the plan with it.
TEST_F(MovesTest, DoesNotFlap) {
  serve(3);
  for (int i = 0; i < 60; ++i) {
    slow_[Harness::node(2)] = i % 2 == 0 ? 5 : 1;
    for (int k = 0; k < 100; ++k) {
      work(milliseconds(100));
      h_->load_all();
    }
  }
  EXPECT_GE(plans(), 1u);
  EXPECT_LE(plans(), 3u) << "in ten minutes";
}

TEST_F(MovesTest, WithoutMemoryForBothTheShardIsFetchedFirst) {
  serve(2, kModelBytes / 2 + 5);
  join(3, 2 * kModelBytes);
  h_->wait(seconds(30));
  const auto fetches = h_->all<FetchShard>();
  ASSERT_FALSE(fetches.empty());
  EXPECT_EQ(plans(), 0u);
  for (std::size_t i = 0; i < 8 && plans() == 0; ++i) {
    h_->load_all();
    const auto all = h_->all<FetchShard>();
    h_->on(ShardFetched{all.back().stage});
  }
  EXPECT_EQ(plans(), 1u);
  EXPECT_EQ(h_->snapshot().state, PlanState::kLoading) << "these are loaded now";
  h_->load_all();
  EXPECT_EQ(h_->snapshot().state, PlanState::kServing);
  EXPECT_THAT(h_->snapshot().plan->stages, SizeIs(3));
}

TEST_F(MovesTest, AStageThatDoesNotLoadStopsNothing) {
  serve(3);
  join(4);
  std::size_t tries = 0;
  for (int i = 0; i < 600; ++i) {
    h_->wait(seconds(1));
    for (const StageId stage : std::exchange(h_->loading, {})) {
      ++tries;
      h_->on(StageFailed{stage, ErrorCode::kResourceExhausted, "no memory"});
    }
  }
  EXPECT_EQ(plans(), 0u);
  EXPECT_EQ(h_->snapshot().state, PlanState::kServing);
  EXPECT_GE(tries, 1u);
  EXPECT_LE(tries, 40u) << "in ten minutes";
  h_->on(Harness::arrived(1, 3, 5)).run();
  EXPECT_THAT(h_->tokens(1), SizeIs(5));
}

// Goal: a shard that a spare node could not keep for the day when it is needed is loaded when it is, and not given up
// and loaded again for ever.
TEST_F(MovesTest, AShardThatCouldNotBeFetchedMayBeLoaded) {
  Limits limits;
  limits.keep_plan = true;
  serve(2, 1000, limits);
  join(3);
  for (std::size_t i = 0; i < h_->all<FetchShard>().size(); ++i) {
    h_->on(StageFailed{h_->all<FetchShard>()[i].stage, ErrorCode::kResourceExhausted, "the flash is full"});
  }
  EXPECT_THAT(h_->all<FetchShard>(), SizeIs(2));
  h_->on(NodePaused{Harness::node(1)});
  EXPECT_THAT(h_->all<LoadStage>(), SizeIs(1));
  h_->load_all();
  EXPECT_THAT(h_->all<LoadStage>(), SizeIs(1));
  EXPECT_EQ(plans(), 1u);
  EXPECT_EQ(layers_of(3), 6u);
}

TEST_F(MovesTest, StagesThatAreNotReadyInTimeEndAMoveOnce) {
  serve(3);
  join(4);
  h_->wait(kMoveEvery);
  EXPECT_THAT(h_->all<LoadStage>(), SizeIs(4));
  h_->wait(Limits().load_wait_max);
  EXPECT_THAT(h_->all<DropStage>(), SizeIs(testing::Ge(4u)));
  EXPECT_EQ(h_->snapshot().state, PlanState::kServing);
}

// Goal: a move that began while nobody asked does not change the bits of an answer that has begun since.
TEST_F(MovesTest, AMoveToOtherKernelsIsGivenUpWhenAnAnswerBegins) {
  Limits limits;
  limits.settings.exact = ExactMode::kOn;
  serve(1, 1000, limits);
  NodeJoined other = Harness::joined(2, 1000);
  other.profile.kernel_family = "other kernels";
  h_->on(other);
  h_->on(NodePaused{Harness::node(1)});
  EXPECT_THAT(h_->all<LoadStage>(), SizeIs(1));
  h_->on(Harness::arrived(1, 3)).run(1);
  h_->load_all();
  EXPECT_EQ(plans(), 0u);
  h_->run();
  EXPECT_THAT(h_->tokens(1), SizeIs(3));
}

TEST_F(MovesTest, ANodeThatComesBackWithOtherKernelsIsNotTakenForTheSame) {
  Limits limits;
  limits.settings.exact = ExactMode::kOn;
  serve(2, 60, limits);
  h_->on(NodeLost{Harness::node(2)});
  NodeJoined other = Harness::joined(2, 60);
  other.profile.kernel_family = "other kernels";
  h_->on(other).wait(seconds(10)).load_all();
  EXPECT_EQ(plans(), 0u);
  EXPECT_THAT(h_->snapshot().why_none, HasSubstr("another kernel family"));
}

TEST_F(MovesTest, AMoveIsGivenUpWhenANodeOfItGoes) {
  serve(3);
  join(4);
  h_->wait(seconds(10));
  ASSERT_NE(h_->snapshot().move, "");
  h_->on(NodeLost{Harness::node(4)});
  EXPECT_EQ(h_->snapshot().move, "");
  EXPECT_THAT(h_->all<DropStage>(), SizeIs(4)) << "what the three had loaded for it, and what the fourth had fetched";
  EXPECT_EQ(plans(), 0u);
  h_->load_all();  // too late
  h_->on(Harness::arrived(1, 3, 5)).run();
  EXPECT_THAT(h_->tokens(1), SizeIs(5));
}

TEST_F(MovesTest, ALossDuringAMoveMakesANewPlanAtOnce) {
  serve(3);
  h_->on(Harness::arrived(1, 3, 50)).run(10);
  join(4);
  h_->wait(seconds(10));
  ASSERT_NE(h_->snapshot().move, "");
  h_->on(NodeLost{Harness::node(2)});
  EXPECT_EQ(plans(), 1u);
  EXPECT_EQ(h_->snapshot().move, "");
  EXPECT_EQ(layers_of(2), 0u);
  h_->load_all().run();
  EXPECT_THAT(h_->tokens(1), SizeIs(50));
}

TEST_F(MovesTest, AStepThatFailsDoesNotEndAMove) {
  serve(3);
  h_->on(Harness::arrived(1, 3, 50)).run(10);
  join(4);
  h_->wait(seconds(10));
  const SendStep step = h_->all<SendStep>().back();
  h_->on(StepFailed{step.epoch, step.step, ErrorCode::kUnavailable, "a link broke"});
  EXPECT_EQ(plans(), 1u);
  EXPECT_NE(h_->snapshot().move, "");
  h_->load_all();
  EXPECT_EQ(plans(), 2u);
  EXPECT_THAT(h_->snapshot().plan->stages, SizeIs(4));
  h_->run();
  EXPECT_THAT(h_->tokens(1), SizeIs(50));
}

TEST_F(MovesTest, ANodeThatIsToBeSparedGetsLess) {
  serve(3);
  h_->on(NodeShare{Harness::node(1), 250});
  for (int i = 0; i < 60 && plans() == 0; ++i) h_->wait(seconds(1)).load_all();
  ASSERT_EQ(plans(), 1u);
  EXPECT_EQ(layers_of(1), 1u) << h_->snapshot().plan->explanation;
  h_->on(NodeShare{Harness::node(1), 1000});
  for (int i = 0; i < 60 && plans() == 1; ++i) h_->wait(seconds(1)).load_all();
  EXPECT_EQ(layers_of(1), 4u);
}

// Goal: where much would have to be computed again for little, nothing is moved.
TEST_F(MovesTest, WhatCostsMoreThanItSavesIsNotDone) {
  Limits limits;
  limits.step_wait_max = std::chrono::hours(1);
  serve(3, 1000, limits);
  h_->stage_time = [](const PlannedPlan::Stage& stage) { return seconds(stage.range.count()); };
  h_->on(Harness::arrived(1, 400, 100));
  h_->run(40);
  ASSERT_GT(h_->tokens(1).size(), 1u);
  join(4);
  h_->wait(seconds(60));
  EXPECT_THAT(h_->all<LoadStage>(), IsEmpty());
  EXPECT_THAT(h_->snapshot().why_no_move, HasSubstr("computing the answers again takes"));
  h_->on(SequenceCancelled{1});
  h_->wait(seconds(30)).load_all();
  EXPECT_EQ(plans(), 1u);
}

}  // namespace
}  // namespace shoal::sched
