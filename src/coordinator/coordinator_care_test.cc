// Goal: what a node tells of its battery moves its work away in time, beside what its owner says, and is told. How:
// scripted nodes that host stages on paper only, and a clock that skips ahead.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator.h"
#include "coordinator/scripted_node.h"
#include "model/test_models.h"
#include "net/join_link.h"
#include "sched/placement.h"

namespace shoal::coordinator {
namespace {

using test::ScriptedNode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SkippingClock final : public Clock {
 public:
  Time now() const override { return system_.now() + skipped_; }
  std::int64_t unix_seconds() const override { return system_.unix_seconds(); }
  void skip(Duration by) { skipped_ += by; }

 private:
  SystemClock system_;
  Duration skipped_{};
};

class CoordinatorCareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto small = model::small_model("llama");
    small.layers = 8;
    store_ = std::move(*Store::open(folder_ / "state"));
    model_ = std::move(*ModelSource::open(model::write_model(small, folder_ / "model.gguf").at(0), *store_));
    begin(true);
  }
  void begin(bool keep_plan) {
    coordinator_.reset();
    CoordinatorOptions options;
    options.name = "home";
    options.cluster = {"127.0.0.1", 0};
    options.limits.settings.context_tokens_max = options.limits.settings.kv_tokens_total = 256;
    options.limits.settings.exact = ExactMode::kOff;
    options.limits.plan_settle = std::chrono::milliseconds(10);
    options.limits.keep_plan = keep_plan;
    coordinator_ = std::move(*Coordinator::create(io_, clock_, transport_, *store_, *model_, options));
  }
  void join(ScriptedNode& node, const std::string& name) {
    const auto link = net::JoinLink::parse(coordinator_->create_token(std::chrono::minutes(1))->link);
    node.open(link->endpoints.at(0), link->coordinator, wire::JoinRequest{link->secret, name});
    ASSERT_TRUE(run_until([&] { return node.has<wire::JoinAccepted>(); }));
    node.link->close();
    say_hello(node, name);
  }
  void say_hello(ScriptedNode& node, const std::string& name) {
    const auto link = net::JoinLink::parse(coordinator_->create_token(std::chrono::minutes(1))->link);
    node.open(link->endpoints.at(0), link->coordinator, wire::Hello{.name = name, .memory_bytes_max = 1u << 30});
    ASSERT_TRUE(run_until([&] { return node.has<wire::Welcome>(); }));
  }
  // The phone joins and serves alone.
  void serve() {
    join(phone_, "phone");
    ASSERT_TRUE(run_until([&] { return phone_.has<wire::LoadStage>(); }));
    phone_.send(wire::StageReady{phone_.all<wire::LoadStage>()[0].stage});
    ASSERT_TRUE(run_until([&] { return coordinator_->status().state == ClusterState::kServing; }));
  }
  // Two reports that agree, further apart than it takes.
  void tell(ScriptedNode& node, std::uint32_t percent, BatteryState state) {
    Telemetry told;
    told.device.battery_percent = percent;
    told.device.battery_state = state;
    for (int i = 0; i < 2; ++i) {
      clock_.skip(kBetterFor);
      const Time sent = clock_.now();
      node.send(told);
      ASSERT_TRUE(run_until([&] {
        const auto telemetry = status_of(node).telemetry;
        return telemetry && Duration(std::llround(telemetry->age_s * 1e6)) <= clock_.now() - sent;
      }));
    }
  }
  NodeStatus status_of(const ScriptedNode& node) {
    const auto status = coordinator_->status();
    for (const auto& each : status.nodes) {
      if (each.id == node.id()) return each;
    }
    ADD_FAILURE() << "no such node";
    return {};
  }
  // Orders to load, and not only to fetch.
  static std::vector<wire::LoadStage> loads(const ScriptedNode& node) {
    auto orders = node.all<wire::LoadStage>();
    std::erase_if(orders, [](const auto& order) { return order.fetch_only; });
    return orders;
  }
  NodeId host() {
    const auto status = coordinator_->status();
    return status.plan && !status.plan->stages.empty() ? status.plan->stages[0].node : NodeId{};
  }
  std::vector<std::string> events(EventKind kind) {
    std::vector<std::string> texts;
    const auto page = coordinator_->events({.limit = 1000});
    for (const auto& event : page->events) {
      if (event.kind == kind) texts.push_back(event.node_name + ": " + event.text);
    }
    return texts;
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  SkippingClock clock_;
  net::Transport transport_{io_, net::Identity::generate()};
  ScriptedNode phone_{io_}, spare_{io_};
  std::unique_ptr<Store> store_;
  std::unique_ptr<ModelSource> model_;
  std::unique_ptr<Coordinator> coordinator_;
  net::test::Ticks ticks_{io_};
};

TEST_F(CoordinatorCareTest, ADrainedNodesStageMovesAndTheNodeComesBack) {
  serve();
  join(spare_, "spare");
  tell(phone_, 80, BatteryState::kDischarging);
  EXPECT_TRUE(loads(spare_).empty());
  tell(phone_, 26, BatteryState::kDischarging);
  EXPECT_THAT(events(EventKind::kNodeShare), ElementsAre("phone: gets less, 50 %: battery 26 %, near its 20 %"));
  EXPECT_EQ(status_of(phone_).care.share_permille, 500u);
  EXPECT_TRUE(loads(spare_).empty()) << "less is not nothing";
  tell(phone_, 14, BatteryState::kDischarging);
  ASSERT_TRUE(run_until([&] { return !loads(spare_).empty(); }));
  EXPECT_EQ(host(), phone_.id()) << "it serves until the other is ready";
  spare_.send(wire::StageReady{loads(spare_)[0].stage});
  ASSERT_TRUE(run_until([&] { return host() == spare_.id(); }));
  EXPECT_THAT(events(EventKind::kNodeDrained), ElementsAre("phone: drained: battery 14 %, below its 20 %"));
  EXPECT_TRUE(status_of(phone_).care.drained());
  EXPECT_FALSE(status_of(phone_).paused) << "that is its owner's word";
  tell(phone_, 40, BatteryState::kCharging);
  EXPECT_THAT(events(EventKind::kNodeBack), ElementsAre("phone: comes back: battery 40 %, charging"));
  EXPECT_EQ(status_of(phone_).care.share_permille, kWholeShare);
  EXPECT_EQ(host(), spare_.id()) << "it is spare until it is needed";
}

// Goal: neither its owner's resume undoes a drain, nor the end of a drain its owner's pause.
TEST_F(CoordinatorCareTest, ANodeRestsWhileEitherSaysSo) {
  serve();
  tell(phone_, 80, BatteryState::kDischarging);
  ASSERT_TRUE(coordinator_->pause_node(phone_.id(), true).ok());
  EXPECT_THAT(coordinator_->status().why_not_moved, AllOf(HasSubstr("serves on"), HasSubstr("(phone is paused)")));
  tell(phone_, 14, BatteryState::kDischarging);
  ASSERT_TRUE(coordinator_->pause_node(phone_.id(), false).ok());
  EXPECT_THAT(coordinator_->status().why_not_moved, HasSubstr("(phone is drained: battery 14 %, below its 20 %)"));
  ASSERT_TRUE(coordinator_->pause_node(phone_.id(), true).ok());
  tell(phone_, 40, BatteryState::kCharging);
  EXPECT_FALSE(status_of(phone_).care.drained());
  EXPECT_THAT(coordinator_->status().why_not_moved, HasSubstr("(phone is paused)"));
  ASSERT_TRUE(coordinator_->pause_node(phone_.id(), false).ok());
  EXPECT_EQ(coordinator_->status().why_not_moved, "");
  EXPECT_EQ(host(), phone_.id());
}

// Goal: the planner hears of the share: one that is to get a quarter loses layers to one that gets its whole.
TEST_F(CoordinatorCareTest, WhoGetsLessLosesLayers) {
  begin(false);
  serve();
  clock_.skip(sched::kMoveEvery);
  join(spare_, "other");
  const auto both_ready = [&](std::uint64_t moves) {
    for (ScriptedNode* node : {&phone_, &spare_}) node->send(wire::StageReady{loads(*node).back().stage});
    return run_until([&] { return coordinator_->status().moves == moves; });
  };
  ASSERT_TRUE(run_until([&] { return loads(spare_).size() == 1 && loads(phone_).size() == 2; }));
  // Equals are put in the order of their ids, which are drawn: either may have got the output matrix, the most of this
  // small model.
  ScriptedNode& had_most = loads(phone_)[1].is_last ? phone_ : spare_;
  ScriptedNode& had_less = loads(phone_)[1].is_last ? spare_ : phone_;
  ASSERT_TRUE(loads(had_most).back().is_last);
  ASSERT_TRUE(both_ready(1));
  clock_.skip(10 * sched::kMoveEvery);
  tell(had_most, 23, BatteryState::kDischarging);
  EXPECT_EQ(status_of(had_most).care.share_permille, 250u);
  ASSERT_TRUE(run_until([&] { return loads(spare_).size() == 2 && loads(phone_).size() == 3; }));
  EXPECT_TRUE(loads(had_less).back().is_last);
  EXPECT_FALSE(loads(had_most).back().is_last);
  ASSERT_TRUE(both_ready(2));
}

// Goal: a drained node that joins again is drained still, before it has told anything.
TEST_F(CoordinatorCareTest, TheVerdictOutlivesTheLink) {
  serve();
  tell(phone_, 14, BatteryState::kDischarging);
  ASSERT_TRUE(status_of(phone_).care.drained());
  phone_.link->close();
  ASSERT_TRUE(run_until([&] { return status_of(phone_).state == NodeState::kAway; }));
  say_hello(phone_, "phone");
  ASSERT_TRUE(run_until([&] { return !loads(phone_).empty(); })) << "better it than nobody";
  phone_.send(wire::StageReady{loads(phone_)[0].stage});
  ASSERT_TRUE(run_until([&] { return coordinator_->status().state == ClusterState::kServing; }));
  EXPECT_TRUE(status_of(phone_).care.drained());
  join(spare_, "spare");
  ASSERT_TRUE(run_until([&] { return !loads(spare_).empty(); }));
  spare_.send(wire::StageReady{loads(spare_)[0].stage});
  EXPECT_TRUE(run_until([&] { return host() == spare_.id(); }));
}

}  // namespace
}  // namespace shoal::coordinator
