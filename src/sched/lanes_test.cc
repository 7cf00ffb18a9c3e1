// Goal: several lanes answer as one, and each sequence is where it is answered first. How: nodes on paper, of which
// two hold the model together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sched/balance.h"
#include "sched/grouping.h"
#include "sched/scheduler_harness.h"

namespace shoal::sched {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Limits two_lanes() {
  Limits limits;
  limits.replicas = 2;
  return limits;
}

class Shoal : public test::Harness {
 public:
  explicit Shoal(const Limits& limits = two_lanes(), bool prefix_cache = false) : Harness(4, limits, 0, prefix_cache) {}
  // Each can hold half of the model.
  Shoal& serve(std::uint8_t count, std::uint64_t bytes = 20) {
    for (std::uint8_t i = 1; i <= count; ++i) on(joined(i, bytes));
    settle();
    return *this;
  }
  // Timers that are due fire, and all that is to be loaded is.
  void settle() {
    for (int i = 0; i < 4; ++i) {
      wait(Limits().plan_settle);
      load_all();
    }
  }
  std::vector<SendStep> steps_of(std::uint64_t request) const {
    auto steps = all<SendStep>();
    std::erase_if(steps, [&](const SendStep& step) {
      return std::none_of(step.rows.begin(), step.rows.end(), [&](const Row& row) { return row.request == request; });
    });
    return steps;
  }
  std::uint32_t lane_of(std::uint64_t request) const { return plan_of(steps_of(request).back().epoch).lane; }
  std::vector<std::uint32_t> nodes_of_lanes() const {
    std::vector<std::uint32_t> nodes;
    const Snapshot now_there = snapshot();
    for (const Snapshot& lane : now_there.lanes) nodes.push_back(lane.nodes);
    return nodes;
  }
  std::vector<NodeId> nodes_of_plan(std::uint32_t lane) const {
    std::vector<NodeId> nodes;
    const Snapshot now_there = snapshot();
    for (const auto& stage : now_there.lanes.at(lane).plan->stages) nodes.push_back(stage.node);
    return nodes;
  }
  NodeId node_of(std::uint32_t lane) const { return nodes_of_plan(lane).front(); }
};

std::vector<Token> right_answer(std::uint64_t request, std::size_t prompt, std::size_t tokens) {
  std::vector<Token> answer;
  for (std::size_t i = 0; i < tokens; ++i) answer.push_back(static_cast<Token>(request * 1000 + prompt - 1 + i));
  return answer;
}

TEST(Lanes, FourHalvesServeTwice) {
  Shoal shoal;
  shoal.serve(4);
  EXPECT_EQ(shoal.snapshot().state, PlanState::kServing);
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
  EXPECT_THAT(shoal.nodes_of_plan(0), SizeIs(2));
  EXPECT_THAT(shoal.nodes_of_plan(1), SizeIs(2));
}

TEST(Lanes, AsFewAsTheNodesCanHold) {
  Shoal shoal;
  shoal.serve(3);
  EXPECT_EQ(shoal.snapshot().state, PlanState::kServing);
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(3, 0));
}

TEST(Lanes, TheFirstDivisionWaitsForTheNodesAskedFor) {
  Limits limits = two_lanes();
  limits.nodes_min = 4;
  Shoal shoal(limits);
  shoal.serve(3);
  EXPECT_EQ(shoal.snapshot().state, PlanState::kNone);
  EXPECT_EQ(shoal.snapshot().why_none, "3 of 4 nodes are there; waiting for the others");
  shoal.on(Shoal::joined(4, 20));
  shoal.settle();
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
}

TEST(Lanes, NewSequencesGoWhereThereIsLessToDo) {
  Shoal shoal;
  shoal.serve(4);
  for (std::uint64_t request = 1; request <= 4; ++request) shoal.on(Shoal::arrived(request, 3));
  EXPECT_NE(shoal.lane_of(1), shoal.lane_of(2));
  EXPECT_NE(shoal.lane_of(3), shoal.lane_of(4));
  shoal.run();
  for (std::uint64_t request = 1; request <= 4; ++request) {
    EXPECT_EQ(shoal.tokens(request), right_answer(request, 3, 3));
    EXPECT_THAT(shoal.ends(request), SizeIs(1));
  }
}

TEST(Lanes, ALongPromptInTheWayCounts) {
  Shoal shoal;
  shoal.serve(4);
  shoal.on(Shoal::arrived(1, 400));
  shoal.on(Shoal::arrived(2, 3)).on(Shoal::arrived(3, 3));
  EXPECT_NE(shoal.lane_of(2), shoal.lane_of(1));
  EXPECT_NE(shoal.lane_of(3), shoal.lane_of(1)) << "two short ones are done before a long one";
}

TEST(Lanes, AnEmptyPromptIsRefused) {
  Shoal shoal(two_lanes(), true);
  shoal.serve(4);
  shoal.on(Shoal::arrived(1, 3)).on(Shoal::arrived(2, 0));
  ASSERT_THAT(shoal.ends(2), SizeIs(1));
  EXPECT_EQ(shoal.ends(2)[0].error.code, ErrorCode::kInvalidArgument);
}

// Goal: as many wait as may wait in all lanes, though those of a lane that is lost wait in another.
TEST(Lanes, NotMoreWaitThanMay) {
  Limits limits = two_lanes();
  limits.settings.sequences_max = 1;
  limits.waiting_sequences_max = 2;
  Shoal shoal(limits);
  shoal.serve(4);
  for (std::uint64_t request = 1; request <= 6; ++request) shoal.on(Shoal::arrived(request, 3));
  EXPECT_EQ(shoal.snapshot().sequences_waiting, 4u);
  const NodeId lost = shoal.node_of(0);
  shoal.on(NodeLost{lost});
  EXPECT_EQ(shoal.snapshot().sequences_waiting, 5u);
  EXPECT_THAT(shoal.all<Emit>(), IsEmpty());
  shoal.on(NodeJoined{{lost, "back", 20}});
  shoal.settle();
  EXPECT_EQ(shoal.snapshot().sequences_waiting, 4u);
  EXPECT_EQ(shoal.snapshot().lanes[0].sequences_waiting, 0u);
  shoal.on(Shoal::arrived(7, 3));
  ASSERT_THAT(shoal.ends(7), SizeIs(1));
  EXPECT_EQ(shoal.ends(7)[0].error.code, ErrorCode::kResourceExhausted);
}

TEST(Lanes, AKnownBeginningDraws) {
  Shoal shoal(two_lanes(), true);
  shoal.serve(4);
  for (std::uint64_t request = 1; request <= 2; ++request) shoal.on(Shoal::arrived(request, 200));
  shoal.run();
  for (std::uint64_t request = 3; request <= 4; ++request) {
    SequenceArrived alike = Shoal::arrived(request, 0);
    alike.prompt = std::vector<Token>(220, static_cast<Token>(request - 2));
    shoal.on(alike).run();
    EXPECT_EQ(shoal.lane_of(request), shoal.lane_of(request - 2));
    EXPECT_GT(shoal.ends(request).at(0).cached_tokens, 190u);
  }
}

TEST(Lanes, WhoseLaneHasNoPlanGoesOnInTheOther) {
  Shoal shoal;
  shoal.serve(4);
  shoal.on(Shoal::arrived(1, 3, 5)).on(Shoal::arrived(2, 3, 5));
  shoal.back(shoal.steps_of(1).back()).back(shoal.steps_of(2).back());
  const std::uint32_t lane = shoal.lane_of(1);
  const SendStep lost = shoal.steps_of(1).back();
  shoal.on(NodeLost{shoal.node_of(lane)});
  EXPECT_THAT(shoal.all<WithdrawPlan>(), SizeIs(1));
  const auto moved = shoal.all<SequenceMoved>();
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].request, 1u);
  EXPECT_EQ(moved[0].from, lane);
  EXPECT_EQ(moved[0].why, "there is no plan here any more");
  EXPECT_EQ(shoal.lane_of(1), 1 - lane);
  const auto again = shoal.steps_of(1).back();
  EXPECT_EQ(again.rows.front().position, 0u) << "from its tokens";
  shoal.on(StepDone{lost.epoch, lost.step});  // of the dead plan
  shoal.run();
  EXPECT_EQ(shoal.tokens(1), right_answer(1, 3, 5));
  EXPECT_EQ(shoal.tokens(2), right_answer(2, 3, 5));
  EXPECT_EQ(shoal.snapshot().sequences_moved, 1u);
  EXPECT_THAT(shoal.snapshot().decisions, ElementsAre(HasSubstr("request 1 went from pipeline")));
}

TEST(Lanes, ANodeThatComesBackMakesItsLaneWhole) {
  Shoal shoal;
  shoal.serve(4);
  const NodeId lost = shoal.node_of(0);
  shoal.on(NodeLost{lost});
  shoal.settle();
  EXPECT_EQ(shoal.snapshot().lanes[0].state, PlanState::kNone);
  EXPECT_EQ(shoal.snapshot().state, PlanState::kServing);
  shoal.on(NodeJoined{{lost, "back", 20}});
  shoal.settle();
  EXPECT_EQ(shoal.snapshot().lanes[0].state, PlanState::kServing);
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
}

TEST(Lanes, ALaneWithoutPlanGetsASpareNode) {
  Limits limits = two_lanes();
  limits.spares = 1;
  Shoal shoal(limits);
  shoal.serve(5);
  const std::uint32_t with_spare = shoal.nodes_of_lanes()[0] == 3 ? 0 : 1;
  shoal.on(NodeLost{shoal.node_of(1 - with_spare)});
  shoal.settle();
  EXPECT_EQ(shoal.snapshot().lanes[0].state, PlanState::kServing);
  EXPECT_EQ(shoal.snapshot().lanes[1].state, PlanState::kServing);
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
}

// Goal: a node that is left out for a while, because its stage did not load, makes no lane whole meanwhile; and nobody
// is given to and fro for it, at one moment, for ever.
TEST(Lanes, ANodeThatIsLeftOutMakesNoLaneWhole) {
  Limits limits = two_lanes();
  limits.stage_retry_after = seconds(30);
  Shoal shoal(limits);
  shoal.serve(4);
  const StageId stage = shoal.snapshot().lanes[0].plan->stages.front().stage;
  shoal.on(StageFailed{stage, ErrorCode::kCorrupt, "it broke"});
  EXPECT_THAT(shoal.all<WithdrawPlan>(), SizeIs(1));
  shoal.clear().wait(kDissolveAfter + seconds(5));
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(0, 4)) << "spare ones of the other lane";
  EXPECT_LE(shoal.all<SetTimer>().size(), 20u);
  shoal.wait(limits.stage_retry_after);
  shoal.settle();
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2)) << "nobody asks, and it may be tried again";
  EXPECT_EQ(shoal.snapshot().lanes[0].state, PlanState::kServing);
  EXPECT_EQ(shoal.snapshot().lanes[1].state, PlanState::kServing);
}

TEST(Lanes, ALaneThatStaysBrokenGivesItsNodesToTheOthers) {
  Shoal shoal;
  shoal.serve(4);
  shoal.on(NodeLost{shoal.node_of(0)});
  shoal.wait(kDissolveAfter - seconds(1));
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(1, 2));
  shoal.wait(seconds(2));
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(0, 3));
}

TEST(Lanes, WhereNoLaneIsLeftAllAreOne) {
  Shoal shoal;
  shoal.serve(4);
  shoal.on(Shoal::arrived(1, 3, 5)).on(Shoal::arrived(2, 3, 5));
  shoal.on(NodeLost{shoal.node_of(0)});
  shoal.on(NodeLost{shoal.node_of(1)});
  shoal.settle();
  EXPECT_EQ(shoal.snapshot().state, PlanState::kServing);
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 0));
  shoal.run();
  EXPECT_EQ(shoal.tokens(1), right_answer(1, 3, 5));
  EXPECT_EQ(shoal.tokens(2), right_answer(2, 3, 5));
}

TEST(Lanes, OnceNobodyAsksTheyAreDividedAgain) {
  Shoal shoal;
  shoal.serve(3);
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(3, 0));
  shoal.on(Shoal::arrived(1, 3, 2));
  shoal.on(Shoal::joined(4, 20));
  shoal.settle();
  shoal.run();
  EXPECT_THAT(shoal.ends(1), SizeIs(1));
  shoal.wait(kIdleFor + seconds(1));
  shoal.settle();
  EXPECT_THAT(shoal.all<WithdrawPlan>(), SizeIs(1));
  EXPECT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
  EXPECT_EQ(shoal.snapshot().lanes[0].state, PlanState::kServing);
  EXPECT_EQ(shoal.snapshot().lanes[1].state, PlanState::kServing);
}

TEST(Lanes, WhoWaitsForAPlaceTakesOneElsewhere) {
  Limits limits = two_lanes();
  limits.settings.sequences_max = 1;
  Shoal shoal(limits);
  shoal.serve(4);
  for (std::uint64_t request = 1; request <= 3; ++request) shoal.on(Shoal::arrived(request, 3, request == 2 ? 1 : 9));
  EXPECT_EQ(shoal.snapshot().sequences_waiting, 1u);
  const std::uint32_t free = shoal.lane_of(2);
  shoal.back(shoal.steps_of(2).back());
  EXPECT_EQ(shoal.snapshot().sequences_waiting, 0u);
  EXPECT_EQ(shoal.lane_of(3), free);
  shoal.run();
  EXPECT_EQ(shoal.tokens(3), right_answer(3, 3, 9));
}

// Steps come back in their time until the requests have so many tokens, one after the other in each lane.
class TimedShoal : public Shoal {
 public:
  using Shoal::Shoal;
  void run_for(Duration time) {
    const Time until = now + time;
    for (; now < until; next_step()) {
    }
  }
  std::map<std::uint32_t, Duration> step_time;  // of a lane

 private:
  void next_step() {
    for (; looked_ < actions.size(); ++looked_) {
      const auto* step = std::get_if<SendStep>(&actions[looked_]);
      if (step == nullptr) continue;
      Time& free = lane_free_[plan_of(step->epoch).lane];
      free = std::max(free, now) + step_time[plan_of(step->epoch).lane];
      under_way_.emplace(free, *step);
    }
    if (under_way_.empty()) return void(wait(milliseconds(100)));
    const auto next = under_way_.extract(under_way_.begin());
    if (next.key() > now) wait(next.key() - now);
    const SendStep step = next.mapped();
    back(
        step,
        [](const Row& row) {
          return ChosenToken{token(row), false};
        },
        step_time[plan_of(step.epoch).lane]);
  }
  std::size_t looked_ = 0;
  std::map<std::uint32_t, Time> lane_free_;
  std::multimap<Time, SendStep> under_way_;
};

TEST(Lanes, WhoRunsMovesToALaneThatIsSoMuchQuicker) {
  TimedShoal shoal;
  shoal.serve(4);
  shoal.step_time = {{0, milliseconds(50)}, {1, milliseconds(50)}};
  shoal.on(Shoal::arrived(1, 10, 1000)).on(Shoal::arrived(2, 10, 1000));
  shoal.run_for(seconds(5));
  EXPECT_THAT(shoal.all<SequenceMoved>(), IsEmpty());
  const std::uint32_t slow = shoal.lane_of(1);
  shoal.step_time[slow] = milliseconds(500);
  shoal.run_for(seconds(20));
  const auto moved = shoal.all<SequenceMoved>();
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].request, 1u);
  EXPECT_THAT(moved[0].why, HasSubstr("it saves"));
  EXPECT_NE(shoal.lane_of(1), slow);
  shoal.run_for(seconds(30));
  const auto tokens = shoal.tokens(1);
  EXPECT_GT(tokens.size(), 300u);
  EXPECT_EQ(tokens, right_answer(1, 10, tokens.size())) << "no gap, no repetition";
}

// Goal: a lane that loads loses those who get on sooner elsewhere; what was measured before its plan died still counts.
TEST(Lanes, WhoseLaneLoadsGoesOnInTheOtherIfThatIsSooner) {
  Limits limits = two_lanes();
  limits.spares = 1;
  for (const bool quick : {true, false}) {
    TimedShoal shoal(limits);
    for (std::uint8_t i = 1; i <= 5; ++i) shoal.on(Shoal::joined(i, 20));
    shoal.wait(seconds(3)).load_all();  // so long does loading take
    shoal.step_time = {{0, milliseconds(quick ? 5 : 50'000)}, {1, milliseconds(quick ? 5 : 50'000)}};
    shoal.on(Shoal::arrived(1, 10, 100)).on(Shoal::arrived(2, 10, 100));
    shoal.run_for(quick ? milliseconds(100) : seconds(150));
    const std::uint32_t with_spare = shoal.nodes_of_lanes()[0] == 3 ? 0 : 1;
    ASSERT_EQ(shoal.snapshot().sequences_live, 2u);
    shoal.on(NodeLost{shoal.node_of(with_spare)});
    EXPECT_EQ(shoal.snapshot().lanes.at(with_spare).state, PlanState::kLoading);
    EXPECT_THAT(shoal.all<SequenceMoved>(), SizeIs(quick ? 1 : 0));
  }
}

TEST(Lanes, WhatSwingsMakesNobodyFlap) {
  TimedShoal shoal;
  shoal.serve(4);
  shoal.on(Shoal::arrived(1, 10, 4000)).on(Shoal::arrived(2, 10, 4000));
  for (int i = 0; i < 30; ++i) {  // ten minutes
    shoal.step_time = {{0, milliseconds(i % 2 == 0 ? 400 : 50)}, {1, milliseconds(i % 2 == 0 ? 50 : 400)}};
    shoal.run_for(seconds(20));
  }
  EXPECT_LE(shoal.all<SequenceMoved>().size(), 14u);  // 7 each: 5 s, twice as long after each move
  EXPECT_EQ(shoal.tokens(1), right_answer(1, 10, shoal.tokens(1).size()));
  EXPECT_EQ(shoal.tokens(2), right_answer(2, 10, shoal.tokens(2).size()));
}

// Goal: where exact answers are wanted and not demanded, one that cannot be exact is better than none.
TEST(Lanes, ABegunAnswerLeavesItsKernelFamilyBeforeItEnds) {
  Limits limits = two_lanes();
  limits.settings.exact = ExactMode::kAuto;
  Shoal shoal(limits);
  for (std::uint8_t i = 1; i <= 4; ++i) {
    NodeJoined joined = Shoal::joined(i, 20);
    joined.profile.kernel_family = i <= 2 ? "a" : "b";
    shoal.on(joined);
  }
  shoal.settle();
  ASSERT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
  shoal.on(Shoal::arrived(1, 3, 5));
  shoal.back(shoal.steps_of(1).back());
  const std::uint32_t lane = shoal.lane_of(1);
  shoal.on(NodeLost{shoal.node_of(lane)});
  shoal.wait(kDissolveAfter - seconds(1));
  EXPECT_THAT(shoal.all<SequenceMoved>(), IsEmpty()) << "the node may come back";
  shoal.wait(seconds(2));
  EXPECT_THAT(shoal.all<SequenceMoved>(), SizeIs(1));
  shoal.run();
  EXPECT_EQ(shoal.tokens(1), right_answer(1, 3, 5));
}

TEST(Lanes, ABegunAnswerStaysInItsKernelFamily) {
  Limits limits = two_lanes();
  limits.settings.exact = ExactMode::kOn;
  Shoal shoal(limits);
  for (std::uint8_t i = 1; i <= 4; ++i) {
    NodeJoined joined = Shoal::joined(i, 20);
    joined.profile.kernel_family = i <= 2 ? "a" : "b";
    shoal.on(joined);
  }
  shoal.settle();
  ASSERT_THAT(shoal.nodes_of_lanes(), ElementsAre(2, 2));
  shoal.on(Shoal::arrived(1, 3, 5));
  shoal.back(shoal.steps_of(1).back());
  ASSERT_THAT(shoal.tokens(1), SizeIs(1));
  const std::uint32_t lane = shoal.lane_of(1);
  shoal.on(NodeLost{shoal.node_of(lane)});
  EXPECT_THAT(shoal.all<SequenceMoved>(), IsEmpty());
  shoal.on(Shoal::arrived(2, 3, 5));
  EXPECT_NE(shoal.lane_of(2), lane);
}

}  // namespace
}  // namespace shoal::sched
