// Goal: nodes are told to send smaller hidden states only where answers need not be exact, and with auto only over
// links that hold the stages up. How: two scripted nodes with a stage each, on paper only.
#include <gtest/gtest.h>

#include "coordinator/coordinator.h"
#include "coordinator/scripted_node.h"
#include "model/test_models.h"
#include "net/join_link.h"

namespace shoal::coordinator {
namespace {

using test::ScriptedNode;

struct Deaf final : CompletionSink {
  void on_tokens(TextDelta) override {}
  void on_end(FinishReason, Usage, Timings) override {}
  void on_error(Error) override {}
};

class CoordinatorActivationsTest : public ::testing::Test {
 protected:
  // A plan of two stages, both ready and their link settled.
  void serve(ExactMode exact, std::optional<ActivationType> activations, bool stages_exact) {
    auto small = model::small_model("llama");
    small.layers = 2;
    store_ = std::move(*Store::open(folder_ / "state"));
    model_ = std::move(*ModelSource::open(model::write_model(small, folder_ / "model.gguf").at(0), *store_));
    CoordinatorOptions options;
    options.name = "home";
    options.cluster = {"127.0.0.1", 0};
    options.activations = activations;
    options.limits.nodes_min = 2;
    options.limits.settings.context_tokens_max = options.limits.settings.kv_tokens_total = 256;
    options.limits.settings.exact = exact;
    options.limits.plan_settle = std::chrono::milliseconds(10);
    coordinator_ = std::move(*Coordinator::create(io_, clock_, transport_, *store_, *model_, options));
    join(a_);
    join(b_);
    ASSERT_TRUE(run_until([&] {
      for (ScriptedNode* node : {&a_, &b_}) {
        if (node->has<wire::ProbeKernels>() && !std::exchange(probed_, true)) node->send(wire::KernelsProbed{});
      }
      return a_.has<wire::LoadStage>() && b_.has<wire::LoadStage>();
    }));
    const auto plan = a_.all<wire::Plan>().back();
    first_ = plan.stages[0].node == a_.id() ? &a_ : &b_;
    last_ = first_ == &a_ ? &b_ : &a_;
    epoch_ = plan.epoch;
    from_ = plan.stages[0].stage;
    to_ = plan.stages[1].stage;
    first_->send(wire::StageReady{from_, {}, {stages_exact, "as the test says"}});
    last_->send(wire::StageReady{to_, {}, {stages_exact, "as the test says"}});
    first_->send(wire::LinkReport{epoch_, from_, to_, true, ""});
    ASSERT_TRUE(run_until([&] {
      const auto status = coordinator_->status();
      return status.state == ClusterState::kServing && status.plan->stages[0].to_next == LinkPath::kDirect;
    }));
  }
  void join(ScriptedNode& node) {
    const auto link = net::JoinLink::parse(coordinator_->create_token(std::chrono::minutes(1))->link);
    node.open(link->endpoints.at(0), link->coordinator, wire::JoinRequest{link->secret, "scripted"});
    ASSERT_TRUE(run_until([&] { return node.has<wire::JoinAccepted>(); }));
    node.link->close();
    node.open(link->endpoints.at(0), link->coordinator, wire::Hello{.name = "scripted", .memory_bytes_max = 1u << 30});
    ASSERT_TRUE(run_until([&] { return node.has<wire::Welcome>(); }));
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }
  // A request's first step comes back, and both stages took so long for it.
  void compute(std::uint32_t compute_us) {
    CompletionRequest request;
    request.prompt = {1, 2, 3};
    request.sampling.temperature = 0;
    request.tokens_max = 1;
    const std::size_t before = first_->all<wire::Step>().size();
    ASSERT_TRUE(coordinator_->submit(std::move(request), std::make_shared<Deaf>()).ok());
    ASSERT_TRUE(run_until([&] { return first_->all<wire::Step>().size() > before; }));
    const auto step = first_->all<wire::Step>().back();
    Bytes raw(8);
    store_le(raw.data() + 4, 1.0f);
    last_->send(wire::StepResult{step.epoch, step.step, {1}, {2.0}, {{from_, 0, compute_us}, {to_, 0, compute_us}}},
                raw);
    ASSERT_TRUE(run_until([&] { return coordinator_->status().step_totals.steps > before; }));
  }
  // None other than this, for as long as it takes both sides to hear from each other.
  void expect_told(std::vector<wire::SetActivations> orders) {
    io_.run_for(std::chrono::milliseconds(30));
    EXPECT_EQ(first_->all<wire::SetActivations>(), orders);
    EXPECT_FALSE(last_->has<wire::SetActivations>());
    EXPECT_EQ(coordinator_->status().plan->stages[0].sends, orders.empty() ? ActivationType::kF32 : orders.back().type);
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  SystemClock clock_;
  net::Transport transport_{io_, net::Identity::generate()};
  ScriptedNode a_{io_}, b_{io_};
  ScriptedNode *first_ = nullptr, *last_ = nullptr;
  Epoch epoch_;
  StageId from_, to_;
  bool probed_ = false;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ModelSource> model_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorActivationsTest, WhereExactnessIsOffTheTypeAskedForIsOrdered) {
  serve(ExactMode::kOff, ActivationType::kQ8_0, false);
  expect_told({{epoch_, from_, ActivationType::kQ8_0}});
  EXPECT_FALSE(first_->has<wire::MeasureLink>());
}

TEST_F(CoordinatorActivationsTest, AnExactShoalSendsF32WhateverIsAskedFor) {
  serve(ExactMode::kAuto, ActivationType::kQ8_0, true);
  expect_told({});
}

TEST_F(CoordinatorActivationsTest, WithExactAutoAShoalThatIsNotExactSendsWhatIsAskedFor) {
  serve(ExactMode::kAuto, ActivationType::kF16, false);
  expect_told({{epoch_, from_, ActivationType::kF16}});
}

TEST_F(CoordinatorActivationsTest, NothingIsMeasuredWhereItWouldChangeNothing) {
  serve(ExactMode::kAuto, std::nullopt, false);
  expect_told({});
  EXPECT_FALSE(first_->has<wire::MeasureLink>());
}

TEST_F(CoordinatorActivationsTest, ASlowLinkIsMeasuredOnceAndGetsFewerBytes) {
  serve(ExactMode::kOff, std::nullopt, false);
  ASSERT_TRUE(run_until([&] { return first_->has<wire::MeasureLink>(); }));
  const auto order = first_->all<wire::MeasureLink>()[0];
  EXPECT_EQ(order.from_stage, from_);
  first_->send(wire::LinkMeasured{order.measure, true, "", 10'000, 250'000, true});
  expect_told({});  // what stages need is not known yet
  compute(1000);
  ASSERT_TRUE(run_until([&] { return first_->has<wire::SetActivations>(); }));
  expect_told({{epoch_, from_, ActivationType::kQ8_0}});
  EXPECT_EQ(first_->all<wire::MeasureLink>().size(), 1u);
}

TEST_F(CoordinatorActivationsTest, AFastLinkStaysAtF32) {
  serve(ExactMode::kOff, std::nullopt, false);
  ASSERT_TRUE(run_until([&] { return first_->has<wire::MeasureLink>(); }));
  const auto order = first_->all<wire::MeasureLink>()[0];
  first_->send(wire::LinkMeasured{order.measure, true, "", 100, 1'000'000'000, true});
  io_.run_for(std::chrono::milliseconds(30));
  compute(1000);
  expect_told({});
}

}  // namespace
}  // namespace shoal::coordinator
