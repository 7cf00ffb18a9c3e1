// Goal: a person who reads the events understands what happened, why, and how long it took. How: the scheduler's
// actions by hand, a clock that the test moves, and the sentences as they are printed.
#include "coordinator/event_story.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/event_test_support.h"
#include "model/test_models.h"

namespace shoal::coordinator {
namespace {

using test::ManualClock;
using test::node_id;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EventStoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = std::move(*Store::open(folder_ / "state"));
    begin();
  }
  void begin() {
    story_.reset();
    log_.reset();
    log_ = std::make_unique<EventLog>(io_, clock_, *store_);
    story_ = std::make_unique<EventStory>(*log_, clock_);
    told_ = log_->read({.limit = 1}).value().newest;
  }

  // What was told since the last look: "NODE: sentence".
  std::vector<std::string> told() {
    std::vector<std::string> lines;
    const EventPage page = log_->read({.after = told_}).value();
    for (const Event& event : page.events) {
      lines.push_back((event.node ? event.node_name + ": " : "") + event.text);
      told_ = event.number;
      newest_ = event;
    }
    return lines;
  }
  void connect(const std::string& name) { story_->connected(node_id(name), name, 1u << 30, "10.0.0.7:4711"); }
  void come(const std::string& name) {
    connect(name);
    schedule(sched::NodeJoined{{node_id(name), name, 1u << 30, "x86"}}, {});
  }
  void lose(const std::string& name, std::vector<sched::Action> actions = {}) {
    story_->lost(node_id(name), {ErrorCode::kUnavailable, "the peer closed the link"});
    schedule(sched::NodeLost{node_id(name)}, std::move(actions));
  }
  void schedule(sched::Event event, std::vector<sched::Action> actions) {
    ASSERT_TRUE(EventStory::concerns(event, actions));
    story_->scheduled(event, actions, snapshot_);
  }
  // The plan with a LoadStage for each stage from `first_new` on.
  std::vector<sched::Action> plan(std::uint64_t epoch, std::vector<sched::PlannedPlan::Stage> stages,
                                  std::uint64_t first_new) {
    std::vector<sched::Action> actions = {sched::PublishPlan{{Epoch{epoch}, stages, "explained elsewhere"}}};
    for (const auto& stage : stages) {
      if (stage.stage.value >= first_new) actions.emplace_back(sched::LoadStage{stage.node, stage.stage, stage.range});
    }
    return actions;
  }
  static sched::PlannedPlan::Stage stage(const std::string& name, std::uint64_t id, LayerRange range) {
    return {node_id(name), StageId{id}, range, 0};
  }
  void becomes(sched::PlanState state, std::uint32_t live = 0, std::uint32_t waiting = 0) {
    snapshot_ = {};
    snapshot_.state = state;
    snapshot_.sequences_live = live;
    snapshot_.sequences_waiting = waiting;
  }
  void pass(int ms) { clock_.advance(std::chrono::milliseconds(ms)); }

  // a and b serve layers 0-3 and 4-7 since now.
  void serve() {
    come("a");
    come("b");
    becomes(sched::PlanState::kLoading);
    schedule(sched::Timer{}, plan(1, {stage("a", 1, {0, 4}), stage("b", 2, {4, 8})}, 1));
    story_->stage_ready(StageId{1}, 0);
    story_->stage_ready(StageId{2}, 0);
    becomes(sched::PlanState::kServing);
    schedule(sched::StageReady{StageId{2}}, {});
    (void)told();
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<EventStory> story_;
  sched::Snapshot snapshot_;
  std::uint64_t told_ = 0;
  Event newest_;
};

TEST_F(EventStoryTest, AShoalBegins) {
  story_->started("fish-1B", 0);
  story_->paired(node_id("a"), "a", "10.0.0.7:4711");
  come("a");
  pass(100);
  come("b");
  EXPECT_THAT(told(), ElementsAre("coordinator started with fish-1B; no node is paired",
                                  "a: paired from 10.0.0.7, as node " + node_id("a").short_hex(),
                                  "a: connected from 10.0.0.7; offers 1.00 GiB",
                                  "b: connected from 10.0.0.7; offers 1.00 GiB"));
  becomes(sched::PlanState::kLoading, 0, 1);
  schedule(sched::Timer{}, plan(1, {stage("a", 1, {0, 7}), stage("b", 2, {7, 8})}, 1));
  EXPECT_THAT(told(), ElementsAre("plan 1: a takes layers 0-6 and b 7; 1 answer waits"));
  EXPECT_EQ(newest_.epoch, Epoch{1});
  pass(1234);
  story_->stage_ready(StageId{1}, 3u << 20);
  EXPECT_THAT(told(), ElementsAre("a: stage ready after 1.2 s (layers 0-6, 3.00 MiB fetched)"));
  EXPECT_EQ(newest_.duration_ms, 1234);
  EXPECT_EQ(newest_.kind, EventKind::kStageReady);
  pass(6);
  story_->stage_ready(StageId{2}, std::nullopt);
  story_->stage_ready(StageId{2}, 0);  // again: nothing
  becomes(sched::PlanState::kServing, 1);
  schedule(sched::StageReady{StageId{2}}, {});
  EXPECT_THAT(told(), ElementsAre("b: stage ready after 1.2 s (layer 7)", "serving after 1.2 s; 1 answer goes on"));
  EXPECT_EQ(newest_.duration_ms, 1240);
}

TEST_F(EventStoryTest, APauseAndThePlanThatComesOfIt) {
  serve();
  come("c");
  (void)told();
  story_->paused(node_id("b"), "b", true);
  schedule(sched::NodePaused{node_id("b"), true}, {sched::LoadStage{node_id("c"), StageId{3}, {4, 8}}});
  EXPECT_THAT(told(), ElementsAre("b: paused; another is to take its layers 4-7"));
  EXPECT_EQ(newest_.kind, EventKind::kNodePaused);
  pass(1400);
  story_->stage_ready(StageId{3}, 0);
  becomes(sched::PlanState::kServing, 1);
  schedule(sched::StageReady{StageId{3}}, plan(2, {stage("a", 1, {0, 4}), stage("c", 3, {4, 8})}, 4));
  EXPECT_THAT(told(), ElementsAre("c: stage ready after 1.4 s (layers 4-7, 0 B fetched)",
                                  "plan 2: c takes layers 4-7 from b, as b is paused; 1 of 2 stages stays; 1 answer "
                                  "goes on"));
  // Paused without a spare node: one plan at once, with fewer stages.
  story_->paused(node_id("c"), "c", true);
  becomes(sched::PlanState::kLoading);
  schedule(sched::NodePaused{node_id("c"), true}, plan(3, {stage("a", 4, {0, 8})}, 4));
  EXPECT_THAT(told(), ElementsAre("c: paused; another is to take its layers 4-7",
                                  "plan 3: a takes layers 0-7, as c is paused; no stage stays"));
  story_->paused(node_id("c"), "c", false);
  schedule(sched::NodePaused{node_id("c"), false}, {});
  EXPECT_THAT(told(), ElementsAre("c: resumed; it may host layers again"));
  EXPECT_EQ(newest_.kind, EventKind::kNodeResumed);
  // It was long ago for the plans that come later.
  becomes(sched::PlanState::kNone);
  lose("a");
  (void)told();
  come("a");
  becomes(sched::PlanState::kLoading);
  schedule(sched::Timer{}, plan(4, {stage("a", 5, {0, 4}), stage("c", 6, {4, 8})}, 5));
  EXPECT_THAT(told(), ElementsAre("a: connected again after 0 ms from 10.0.0.7; offers 1.00 GiB",
                                  "plan 4: a takes layers 0-3 and c 4-7, as a came; no stage stays"));
}

TEST_F(EventStoryTest, ANodeThatIsPausedAndServesOnIsResumed) {
  serve();
  story_->paused(node_id("b"), "b", true);
  story_->paused(node_id("b"), "b", false);
  story_->paused(node_id("z"), "zebra", true);  // away since the coordinator began
  EXPECT_THAT(told(), ElementsAre("b: paused; another is to take its layers 4-7", "b: resumed; it keeps its layers 4-7",
                                  "zebra: paused; it hosts nothing"));
}

TEST_F(EventStoryTest, ALossIsToldAsALossAlsoOfAPausedNode) {
  serve();
  come("c");
  story_->paused(node_id("b"), "b", true);
  (void)told();
  lose("b", plan(2, {stage("a", 3, {0, 5}), stage("c", 4, {5, 8})}, 3));
  EXPECT_THAT(told(), ElementsAre("b: lost: the node closed the link; it held layers 4-7",
                                  "plan 2: a takes layers 0-4 and c 5-7, as b was lost; no stage stays"));
}

TEST_F(EventStoryTest, AJournalThatIsTooShort) {
  serve();
  story_->journal_too_short(node_id("a"), "rows 0 to 7 are not in the journal");
  EXPECT_THAT(told(), ElementsAre("a: an answer begins again from its tokens: rows 0 to 7 are not in the journal"));
}

TEST_F(EventStoryTest, ADeathReadsAsAStory) {
  serve();
  come("c");
  EXPECT_THAT(told(), ElementsAre("c: connected from 10.0.0.7; offers 1.00 GiB"));
  becomes(sched::PlanState::kLoading, 0, 2);
  lose("b", plan(2, {stage("a", 1, {0, 4}), stage("c", 3, {4, 8})}, 3));
  EXPECT_THAT(told(), ElementsAre("b: lost: the node closed the link; it held layers 4-7",
                                  "plan 2: c takes layers 4-7 from b; 1 of 2 stages stays; 2 answers wait"));
  pass(1400);
  story_->stage_ready(StageId{3}, 0);
  pass(100);
  becomes(sched::PlanState::kServing, 2);
  schedule(sched::StageReady{StageId{3}}, {});
  EXPECT_THAT(told(), ElementsAre("c: stage ready after 1.4 s (layers 4-7, 0 B fetched)",
                                  "serving again after 1.5 s; 2 answers go on"));
  EXPECT_EQ(newest_.kind, EventKind::kPlanServing);
  EXPECT_EQ(newest_.duration_ms, 1500);
  pass(2000);
  connect("b");
  EXPECT_THAT(told(), ElementsAre("b: connected again after 3.5 s from 10.0.0.7; offers 1.00 GiB"));
  EXPECT_EQ(newest_.duration_ms, 3500);
}

TEST_F(EventStoryTest, ANewCutNamesWhoWasLost) {
  serve();
  becomes(sched::PlanState::kLoading);
  lose("b", plan(2, {stage("a", 3, {0, 8})}, 3));
  EXPECT_EQ(told().back(), "plan 2: a takes layers 0-7, as b was lost; no stage stays");
  becomes(sched::PlanState::kServing);
  schedule(sched::StageReady{StageId{3}}, {});
  come("c");
  schedule(sched::Timer{}, plan(3, {stage("a", 3, {0, 8}), stage("c", 4, {4, 8})}, 4));
  EXPECT_EQ(told().back(), "plan 3: c takes layers 4-7, as c came; 1 of 2 stages stays");
}

TEST_F(EventStoryTest, ManyStagesAreCounted) {
  std::vector<sched::PlannedPlan::Stage> stages;
  for (std::uint32_t i = 0; i < 7; ++i) {
    come(fmt::format("n{}", i));
    stages.push_back(stage(fmt::format("n{}", i), i + 1, {i, i + 1}));
  }
  becomes(sched::PlanState::kLoading);
  schedule(sched::Timer{}, plan(1, stages, 1));
  EXPECT_EQ(told().back(), "plan 1: n0 takes layer 0, n1 1, n2 2, n3 3 and 3 more");
}

TEST_F(EventStoryTest, ARestartSaysWhy) {
  serve();
  const auto same = [&](std::uint64_t epoch) { return plan(epoch, {stage("a", 1, {0, 4}), stage("b", 2, {4, 8})}, 9); };
  becomes(sched::PlanState::kServing, 1);
  story_->step_failed(node_id("b"), "out of memory");
  schedule(sched::StepFailed{Epoch{1}, StepId{5}, ErrorCode::kResourceExhausted, "out of memory"}, same(2));
  EXPECT_THAT(told(), ElementsAre("b: a step failed: out of memory",
                                  "plan 2: the same stages again, as a step failed; 1 answer goes on"));
  EXPECT_EQ(newest_.kind, EventKind::kPlanRestarted);
  schedule(sched::Timer{}, same(3));
  EXPECT_THAT(told(), ElementsAre("plan 3: the same stages again, as a step did not come back; 1 answer goes on"));
  schedule(sched::StepDone{Epoch{3}, StepId{8}}, same(4));
  EXPECT_THAT(told(), ElementsAre("plan 4: the same stages again, as a later step overtook one; 1 answer goes on"));
  becomes(sched::PlanState::kLoading, 0, 1);
  schedule(sched::StepFailed{Epoch{4}, StepId{9}, ErrorCode::kInternal, ""},
           plan(5, {stage("a", 3, {0, 4}), stage("b", 4, {4, 8})}, 3));
  EXPECT_THAT(told(),
              ElementsAre("plan 5: the same stages again, as a step failed; all are loaded anew; 1 answer waits"));
}

TEST_F(EventStoryTest, NoPlanIsToldOnceForEachReason) {
  serve();
  const auto none = [&](const std::string& why) {
    becomes(sched::PlanState::kNone, 0, 1);
    snapshot_.why_none = why;
  };
  none("12 MiB missing");
  lose("b");
  EXPECT_THAT(told(), ElementsAre("b: lost: the node closed the link; it held layers 4-7",
                                  "no plan: 12 MiB missing; 1 answer waits"));
  schedule(sched::Timer{}, {});
  none("2 nodes are there; the plan is about to be made");
  come("c");
  schedule(sched::Timer{}, {});
  EXPECT_THAT(told(), ElementsAre("c: connected from 10.0.0.7; offers 1.00 GiB"));
  none("2 MiB missing");
  schedule(sched::Timer{}, {});
  EXPECT_THAT(told(), ElementsAre("no plan: 2 MiB missing; 1 answer waits"));
  story_->sequence_failed(17, {ErrorCode::kUnavailable, "2 MiB missing"});
  EXPECT_THAT(told(), ElementsAre("answer 17 ended with an error (unavailable): 2 MiB missing"));
}

TEST_F(EventStoryTest, AStageThatFailsIsTheReason) {
  serve();
  come("c");
  becomes(sched::PlanState::kLoading);
  lose("b", plan(2, {stage("a", 1, {0, 4}), stage("c", 3, {4, 8})}, 3));
  (void)told();
  pass(20);
  story_->stage_failed(node_id("c"), StageId{3}, {4, 8}, "the disk is full");
  schedule(sched::StageFailed{StageId{3}, ErrorCode::kResourceExhausted, "the disk is full"},
           plan(3, {stage("a", 4, {0, 8})}, 4));
  EXPECT_THAT(told(), ElementsAre("c: stage failed after 20 ms (layers 4-7): the disk is full",
                                  "plan 3: a takes layers 0-7, as c could not load its layers; no stage stays"));
}

TEST_F(EventStoryTest, ARevocationIsNoLossAndToldOnce) {
  serve();
  story_->revoking(node_id("b"), "b");
  becomes(sched::PlanState::kLoading);
  lose("b", plan(2, {stage("a", 3, {0, 8})}, 3));
  story_->revoked(node_id("b"), true);
  EXPECT_THAT(told(), ElementsAre("b: revoked: its links are cut; it held layers 4-7",
                                  "plan 2: a takes layers 0-7, as b was lost; no stage stays"));
  EXPECT_EQ(log_->read({.after = told_ - 2, .limit = 1}).value().events[0].kind, EventKind::kNodeRevoked);
  story_->revoking(node_id("away"), "away");
  story_->revoked(node_id("away"), true);
  EXPECT_THAT(told(), ElementsAre("away: revoked while it was away"));
  story_->revoking(node_id("nobody"), "");
  story_->revoked(node_id("nobody"), false);
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(EventStoryTest, SilenceIsSaid) {
  come("a");
  (void)told();
  story_->lost(node_id("a"), {ErrorCode::kDeadlineExceeded, "nothing heard for 3000 ms"});
  EXPECT_THAT(told(), ElementsAre("a: lost: silent, nothing heard for 3000 ms"));
}

TEST_F(EventStoryTest, ARunThatWasCutOffIsSaid) {
  story_->stopped(0);
  EXPECT_THAT(told(), IsEmpty()) << "it never started";
  story_->started("fish", 1);
  pass(90'000);
  story_->stopped(2);
  EXPECT_THAT(told(), ElementsAre("coordinator started with fish; 1 node paired",
                                  "coordinator stopped after 1 min 30 s; 2 answers cut short"));
  begin();
  story_->started("fish", 2);
  EXPECT_THAT(told(), ElementsAre("coordinator started with fish; 2 nodes paired"));
  begin();
  story_->started("fish", 2);
  EXPECT_THAT(told(), ElementsAre("coordinator started with fish; 2 nodes paired; the run before was cut off (killed, "
                                  "or the power went)"));
}

TEST_F(EventStoryTest, StepsOfEveryDayAreNone) {
  EXPECT_FALSE(EventStory::concerns(sched::StepDone{Epoch{1}, StepId{1}}, {sched::SendStep{}, sched::SetTimer{}}));
  EXPECT_FALSE(EventStory::concerns(sched::TokenSampled{}, {sched::Emit{}}));
  EXPECT_TRUE(EventStory::concerns(sched::StepDone{}, {sched::PublishPlan{}}));
}

TEST(DurationText, IsShort) {
  using namespace std::chrono;
  EXPECT_EQ(duration_text(microseconds(-5)), "0 ms");
  EXPECT_EQ(duration_text(microseconds(1600)), "2 ms");
  EXPECT_EQ(duration_text(microseconds(999'400)), "999 ms");
  EXPECT_EQ(duration_text(milliseconds(1449)), "1.4 s");
  EXPECT_EQ(duration_text(seconds(61)), "1 min 1 s");
  EXPECT_EQ(duration_text(minutes(59)), "59 min");
  EXPECT_EQ(duration_text(minutes(191)), "3 h 11 min");
  EXPECT_EQ(duration_text(hours(51)), "2 d 3 h");
}

// Goal: a drain reads as a story too: why, who took over, and that it is over. How: a stage loaded ahead on a spare
// that came after the plan.
TEST_F(EventStoryTest, ADrain) {
  come("pixel-4");
  snapshot_.state = sched::PlanState::kServing;
  schedule(sched::Timer{}, plan(1, {stage("pixel-4", 1, {0, 12})}, 1));
  come("spare");
  told();
  story_->cared(node_id("pixel-4"), {CareStep::kLess, "gets less, 50 %: battery 25 %, near its 20 %"});
  EXPECT_THAT(told(), ElementsAre("pixel-4: gets less, 50 %: battery 25 %, near its 20 %"));
  EXPECT_EQ(newest_.kind, EventKind::kNodeShare);
  story_->cared(node_id("pixel-4"), {CareStep::kDrained, "drained: battery 19 %, below its 20 %"});
  EXPECT_THAT(told(), ElementsAre("pixel-4: drained: battery 19 %, below its 20 %"));
  EXPECT_EQ(newest_.kind, EventKind::kNodeDrained);
  schedule(sched::NodePaused{node_id("pixel-4")}, {sched::LoadStage{node_id("spare"), StageId{2}, {0, 12}}});
  story_->stage_ready(StageId{2}, 0);
  EXPECT_THAT(told(), ElementsAre("spare: stage ready after 0 ms (layers 0-11, 0 B fetched)"));
  schedule(sched::StageReady{StageId{2}}, plan(2, {stage("spare", 2, {0, 12})}, 3));
  EXPECT_THAT(told(),
              ElementsAre("plan 2: spare takes layers 0-11 from pixel-4, as pixel-4 is drained; no stage stays"));
  story_->cared(node_id("pixel-4"), {CareStep::kBack, "comes back: battery 40 %, charging"});
  EXPECT_THAT(told(), ElementsAre("pixel-4: comes back: battery 40 %, charging"));
  EXPECT_EQ(newest_.kind, EventKind::kNodeBack);
  story_->cared(node_id("spare"), {CareStep::kDrained, "drained: battery 19 %, below its 20 %"});
  told();
  schedule(sched::NodePaused{node_id("spare")}, plan(3, {stage("a", 4, {0, 6}), stage("b", 5, {6, 12})}, 4));
  EXPECT_THAT(told()[0], ::testing::HasSubstr(", as spare is drained"));
}

}  // namespace
}  // namespace shoal::coordinator
