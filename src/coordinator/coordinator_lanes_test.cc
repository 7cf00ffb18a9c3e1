// Goal: pipelines beside each other do not meddle with one another, and what a dead plan still sends back does not
// count. How: four scripted nodes, any two of which hold the model on paper.
#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator.h"
#include "coordinator/scripted_node.h"
#include "model/test_models.h"
#include "net/join_link.h"

namespace shoal::coordinator {
namespace {

using test::ScriptedNode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Heard final : CompletionSink {
  std::vector<Token> tokens;
  bool ended = false;
  void on_tokens(TextDelta delta) override {
    for (const auto& each : delta.logprobs) tokens.push_back(each.chosen.token);
  }
  void on_end(FinishReason, Usage, Timings) override { ended = true; }
  void on_error(Error what) override { ADD_FAILURE() << what.message; }
};

class CoordinatorLanesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto small = model::small_model("llama");
    small.layers = 8;
    store_ = std::move(*Store::open(folder_ / "state"));
    model_ = std::move(*ModelSource::open(model::write_model(small, folder_ / "model.gguf").at(0), *store_));
    CoordinatorOptions options;
    options.name = "home";
    options.cluster = {"127.0.0.1", 0};
    options.limits.settings.context_tokens_max = options.limits.settings.kv_tokens_total = 256;
    options.limits.settings.exact = ExactMode::kOff;
    options.limits.plan_settle = std::chrono::milliseconds(10);
    options.limits.replicas = 2;
    options.limits.nodes_min = nodes_.size();
    const auto shape = model_shape(model_->manifest(), options.limits.settings);
    std::uint64_t whole = shape.first_stage_bytes + shape.last_stage_bytes;
    for (std::size_t i = 0; i < shape.layer_count; ++i) whole += shape.layer_weight_bytes[i] + shape.layer_kv_bytes[i];
    coordinator_ = std::move(*Coordinator::create(io_, clock_, transport_, *store_, *model_, options));
    for (ScriptedNode& node : nodes_) join(node, shape.every_stage_bytes + whole * 7 / 10);
    ASSERT_TRUE(run_until([&] {
      return std::all_of(nodes_.begin(), nodes_.end(), [](auto& node) { return node.template has<wire::LoadStage>(); });
    }));
    for (ScriptedNode& node : nodes_) node.send(wire::StageReady{node.all<wire::LoadStage>().back().stage});
    ASSERT_TRUE(run_until([&] { return serving() == 2; }));
  }
  void join(ScriptedNode& node, std::uint64_t memory) {
    const auto link = net::JoinLink::parse(coordinator_->create_token(std::chrono::minutes(1))->link);
    node.open(link->endpoints.at(0), link->coordinator, wire::JoinRequest{link->secret, "node"});
    ASSERT_TRUE(run_until([&] { return node.has<wire::JoinAccepted>(); }));
    node.link->close();
    node.open(link->endpoints.at(0), link->coordinator, wire::Hello{.name = "node", .memory_bytes_max = memory});
    ASSERT_TRUE(run_until([&] { return node.has<wire::Welcome>(); }));
  }
  std::size_t serving() const {
    const auto status = coordinator_->status();
    return static_cast<std::size_t>(
        std::count_if(status.pipelines.begin(), status.pipelines.end(),
                      [](const auto& pipeline) { return pipeline.state == ClusterState::kServing; }));
  }
  ScriptedNode& node_with(const NodeId& id) {
    return *std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& node) { return node.id() == id; });
  }
  // Of a pipeline: 0 the first stage's, 1 the last one's.
  ScriptedNode& node_of(std::size_t pipeline, std::size_t stage) {
    return node_with(coordinator_->status().pipelines.at(pipeline).plan->stages.at(stage).node);
  }
  std::shared_ptr<Heard> submit(std::vector<Token> prompt = {1, 2, 3}) {
    CompletionRequest request;
    request.prompt = std::move(prompt);
    request.tokens_max = 2;
    request.logprobs = 0;
    auto heard = std::make_shared<Heard>();
    EXPECT_TRUE(coordinator_->submit(std::move(request), heard).ok());
    return heard;
  }
  static void answer(ScriptedNode& last, const wire::Step& step, Token token) {
    Bytes raw(8);
    store_le(raw.data(), token);
    store_le(raw.data() + 4, 1.0f);
    last.send(wire::StepResult{step.epoch, step.step, {1}, {2.0}, {}}, raw);
  }
  // What was sent before has been read by the coordinator.
  void settle(ScriptedNode& node) {
    const std::uint64_t probe = ++probes_;
    node.send(wire::LinkProbe{probe});
    ASSERT_TRUE(run_until([&] {
      const auto probed = node.all<wire::LinkProbed>();
      return !probed.empty() && probed.back().probe == probe;
    }));
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  SystemClock clock_;
  net::Transport transport_{io_, net::Identity::generate()};
  std::array<ScriptedNode, 4> nodes_{ScriptedNode(io_), ScriptedNode(io_), ScriptedNode(io_), ScriptedNode(io_)};
  std::uint64_t probes_ = 0;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ModelSource> model_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorLanesTest, ANodeHearsOfItsOwnPlanAlone) {
  for (ScriptedNode& node : nodes_) {
    settle(node);
    const auto plans = node.all<wire::Plan>();
    ASSERT_FALSE(plans.empty());
    ASSERT_THAT(plans.back().stages, SizeIs(2));
    EXPECT_TRUE(plans.back().stages[0].node == node.id() || plans.back().stages[1].node == node.id());
  }
}

TEST_F(CoordinatorLanesTest, TwoAnswersGoTwoWays) {
  const auto first = submit();
  const auto second = submit({4, 5, 6});
  for (std::size_t pipeline = 0; pipeline < 2; ++pipeline) {
    ScriptedNode& begins = node_of(pipeline, 0);
    ASSERT_TRUE(run_until([&] { return begins.has<wire::Step>(); }));
    answer(node_of(1 - pipeline, 1), begins.all<wire::Step>()[0], 99);  // of another pipeline: it means nothing
    settle(node_of(1 - pipeline, 1));
    answer(node_of(pipeline, 1), begins.all<wire::Step>()[0], 17);
  }
  ASSERT_TRUE(run_until([&] { return first->tokens.size() == 1 && second->tokens.size() == 1; }));
  EXPECT_THAT(first->tokens, ElementsAre(17));
  EXPECT_THAT(second->tokens, ElementsAre(17));
}

// Goal: a sampler chooses once for each position, also where a step comes back whose plan has died.
TEST_F(CoordinatorLanesTest, WhatADeadPlanSendsBackIsNotSampled) {
  const auto heard = submit();
  std::size_t pipeline = 0;
  ASSERT_TRUE(run_until([&] {
    for (std::size_t i = 0; i < 2; ++i) {
      if (node_of(i, 0).has<wire::Step>()) pipeline = i;
    }
    return node_of(pipeline, 0).has<wire::Step>();
  }));
  ScriptedNode& begins = node_of(pipeline, 0);
  ScriptedNode& ends = node_of(pipeline, 1);
  ScriptedNode& other_begins = node_of(1 - pipeline, 0);
  ScriptedNode& other_ends = node_of(1 - pipeline, 1);
  const wire::Step lost = begins.all<wire::Step>()[0];
  begins.link->close();
  ASSERT_TRUE(run_until([&] { return other_begins.has<wire::Step>(); }));
  answer(ends, lost, 99);
  settle(ends);
  const wire::Step again = other_begins.all<wire::Step>().back();
  EXPECT_THAT(again.rows, SizeIs(3));
  answer(other_ends, again, 17);
  ASSERT_TRUE(run_until([&] { return !heard->tokens.empty(); }));
  EXPECT_THAT(heard->tokens, ElementsAre(17));
  const auto page = coordinator_->events({.limit = 100});
  std::vector<std::string> texts;
  for (const auto& event : page->events) texts.push_back(event.text);
  EXPECT_THAT(texts, Contains(HasSubstr("1 answer goes on in pipeline")));
  EXPECT_EQ(serving(), 1u);
  EXPECT_EQ(coordinator_->status().state, ClusterState::kServing);
}

TEST_F(CoordinatorLanesTest, ARevokedNodeEndsItsPipelineOnly) {
  const NodeId revoked = node_of(0, 0).id();
  ScriptedNode& left = node_of(0, 1);
  ScriptedNode& other = node_of(1, 0);
  const auto plans_before = other.all<wire::Plan>().size();
  ASSERT_TRUE(coordinator_->revoke_node(revoked).ok());
  ASSERT_TRUE(run_until([&] { return left.all<wire::Plan>().back().stages.empty(); }))
      << "a plan that names it must not let it in";
  settle(other);
  EXPECT_EQ(other.all<wire::Plan>().size(), plans_before);
  EXPECT_EQ(serving(), 1u);
}

}  // namespace
}  // namespace shoal::coordinator
