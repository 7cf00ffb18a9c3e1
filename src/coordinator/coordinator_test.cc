// Goal: whatever a node answers, a client hears tokens once and in order, or one error; nothing of an older epoch or
// another node's counts. How: scripted nodes that host stages on paper only, over links on loopback.
#include "coordinator/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/scripted_node.h"
#include "model/test_models.h"
#include "net/join_link.h"

namespace shoal::coordinator {
namespace {

using test::ScriptedNode;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

struct Heard final : CompletionSink {
  std::vector<Token> tokens;
  std::optional<FinishReason> reason;
  Usage usage;
  std::optional<Error> error;
  bool ended() const { return reason || error; }
  void on_tokens(TextDelta delta) override {
    EXPECT_FALSE(ended());
    for (const auto& each : delta.logprobs) tokens.push_back(each.chosen.token);
  }
  void on_end(FinishReason why, Usage used, Timings) override {
    EXPECT_FALSE(ended());
    usage = used;
    reason = why;
  }
  void on_error(Error what) override {
    EXPECT_FALSE(ended());
    error = std::move(what);
  }
};

const std::filesystem::path& model_file() {
  static model::TemporaryFolder folder;
  static const auto path = [] {
    auto options = model::small_model("llama");
    options.layers = 2;
    return model::write_model(options, folder / "model.gguf").at(0);
  }();
  return path;
}

class CoordinatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = std::move(*Store::open(folder_ / "state"));
    model_ = std::move(*ModelSource::open(model_file(), *store_));
    CoordinatorOptions options;
    options.name = "home";
    options.cluster = {"127.0.0.1", 0};
    options.limits.settings.context_tokens_max = 256;
    options.limits.settings.kv_tokens_total = 256;
    options.limits.plan_settle = std::chrono::milliseconds(10);
    auto made = Coordinator::create(io_, clock_, transport_, *store_, *model_, options);
    ASSERT_TRUE(made.ok()) << made.error().message;
    coordinator_ = std::move(*made);
  }

  void join(ScriptedNode& node, std::uint64_t memory = 1u << 30) {
    auto grant = coordinator_->create_token(std::chrono::minutes(1));
    ASSERT_TRUE(grant.ok());
    auto link = net::JoinLink::parse(grant->link);
    ASSERT_TRUE(link.ok());
    node.open(link->endpoints.at(0), link->coordinator, wire::JoinRequest{link->secret, "scripted"});
    ASSERT_TRUE(run_until([&] { return node.has<wire::JoinAccepted>(); }));
    node.link->close();
    node.open(link->endpoints.at(0), link->coordinator, wire::Hello{.name = "scripted", .memory_bytes_max = memory});
    ASSERT_TRUE(run_until([&] { return node.has<wire::Welcome>(); }));
    if (asks_for_cost_) {
      ASSERT_TRUE(run_until([&] { return node.has<wire::ProbeKernels>(); }));
      EXPECT_FALSE(node.all<wire::ProbeKernels>()[0].types.empty());
      node.send(wire::KernelsProbed{cost_});
      asks_for_cost_ = false;  // it is known from now on
    }
  }
  // One node with one stage of all layers.
  void serve() {
    join(a_);
    ASSERT_TRUE(run_until([&] { return a_.has<wire::LoadStage>(); }));
    stage_ = a_.all<wire::LoadStage>()[0].stage;
    a_.send(wire::StageReady{stage_});
    ASSERT_TRUE(run_until([&] { return coordinator_->status().state == ClusterState::kServing; }));
  }
  std::shared_ptr<Heard> submit(std::uint32_t tokens_max, CompletionHandle* handle = nullptr) {
    return submit_prompt({1, 2, 3}, tokens_max, handle);
  }
  std::shared_ptr<Heard> submit_prompt(std::vector<Token> prompt, std::uint32_t tokens_max,
                                       CompletionHandle* handle = nullptr) {
    CompletionRequest request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0;
    request.tokens_max = tokens_max;
    request.logprobs = 0;
    auto heard = std::make_shared<Heard>();
    auto submitted = coordinator_->submit(std::move(request), heard);
    EXPECT_TRUE(submitted.ok()) << submitted.error().message;
    if (submitted.ok() && handle != nullptr) *handle = *submitted;
    return heard;
  }
  // Waits for the step with this number among those of the link, from 0 on.
  wire::Step step(std::size_t index) {
    EXPECT_TRUE(run_until([&] { return a_.all<wire::Step>().size() > index; }));
    return a_.all<wire::Step>().at(index);
  }
  // The answer to a step: one candidate for the one row that wants logits.
  static std::pair<wire::StepResult, Bytes> answer(const wire::Step& step, Token token) {
    wire::StepResult result{step.epoch, step.step, {1}, {2.0}, {}};
    Bytes raw(8);
    store_le(raw.data(), token);
    store_le(raw.data() + 4, 1.0f);
    return {result, raw};
  }
  // One candidate for each row: `tokens`, and token 0 for those that are left.
  void send_answers(const wire::Step& to, std::vector<Token> tokens) {
    tokens.resize(to.rows.size());
    wire::StepResult result{to.epoch, to.step, {}, {}, {}};
    Bytes raw(8 * tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      result.candidate_counts.push_back(1);
      result.log_sum_exps.push_back(2.0);
      store_le(raw.data() + 8 * i, tokens[i]);
      store_le(raw.data() + 8 * i + 4, 1.0f);
    }
    a_.send(result, raw);
  }
  void send_answer(const wire::Step& to, Token token) {
    auto [result, raw] = answer(to, token);
    a_.send(result, raw);
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }
  // Until what was sent before has been read by the coordinator.
  void settle() {
    const auto before = coordinator_->status().plan->stages.at(0).bytes_done;
    a_.send(wire::StageProgress{stage_, before + 1, before + 2, false});
    ASSERT_TRUE(run_until([&] { return coordinator_->status().plan->stages.at(0).bytes_done == before + 1; }));
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  SystemClock clock_;
  net::Transport transport_{io_, net::Identity::generate()};
  ScriptedNode a_{io_}, b_{io_};
  bool asks_for_cost_ = true;
  KernelCost cost_;  // what the first node says that exact kernels cost
  StageId stage_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ModelSource> model_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, TokensGoToTheClientAsTheyCome) {
  serve();
  auto heard = submit(2);
  const auto prompt = step(0);
  ASSERT_EQ(prompt.rows.size(), 3u);
  EXPECT_TRUE(prompt.has_tokens);
  EXPECT_EQ(prompt.rows[0].logits, 0u);
  EXPECT_NE(prompt.rows[2].logits, 0u);
  send_answer(prompt, 17);
  ASSERT_TRUE(run_until([&] { return heard->tokens.size() == 1; }));
  const auto next = step(1);
  ASSERT_EQ(next.rows.size(), 1u);
  EXPECT_EQ(next.rows[0].token, 17);
  EXPECT_EQ(next.rows[0].position, 3u);
  send_answer(next, 18);
  ASSERT_TRUE(run_until([&] { return heard->ended(); }));
  EXPECT_EQ(heard->tokens, (std::vector<Token>{17, 18}));
  EXPECT_EQ(heard->reason, FinishReason::kLength);
  EXPECT_EQ(coordinator_->status().tokens_generated, 2u);
}

TEST_F(CoordinatorTest, AResultCountsOnce) {
  serve();
  auto heard = submit(10);
  const auto first = step(0);
  send_answer(first, 17);
  send_answer(first, 99);
  (void)step(1);
  settle();
  EXPECT_EQ(heard->tokens, std::vector<Token>{17});
  EXPECT_EQ(coordinator_->status().plan->epoch, Epoch{1});
}

// Goal: what a step gave does not count when an older one turns out to be lost by it: its rows are computed again.
TEST_F(CoordinatorTest, AResultThatOvertakesAnotherIsNotSampled) {
  serve();
  const auto first = submit_prompt({1, 2, 3}, 1);
  const auto second = submit_prompt({4, 5, 6}, 1);
  (void)step(0);
  const auto overtakes = step(1);
  send_answer(overtakes, 99);
  for (std::size_t next = 2; !first->ended() || !second->ended(); ++next) {
    ASSERT_LT(next, 20u);
    const auto again = step(next);
    EXPECT_GT(again.epoch, overtakes.epoch);
    if (!again.rows.empty() && again.rows.back().logits != 0) send_answer(again, 17);
    settle();
  }
  EXPECT_EQ(first->tokens, std::vector<Token>{17});
  EXPECT_EQ(second->tokens, std::vector<Token>{17});
}

TEST_F(CoordinatorTest, ResultsOfAnotherNodeOrEpochDoNotCount) {
  serve();
  join(b_);
  auto heard = submit(10);
  const auto first = step(0);
  auto [result, raw] = answer(first, 99);
  b_.send(result, raw);
  b_.send(wire::StageFailed{stage_, ErrorCode::kInternal, "not mine"});
  result.epoch = Epoch{7};
  a_.send(result, raw);
  b_.link->close();  // read after what it sent
  ASSERT_TRUE(run_until([&] {
    for (const auto& node : coordinator_->status().nodes) {
      if (node.id == b_.id()) return node.state == NodeState::kAway;
    }
    return false;
  }));
  settle();
  EXPECT_TRUE(heard->tokens.empty());
  EXPECT_EQ(coordinator_->status().state, ClusterState::kServing);
  send_answer(first, 17);
  ASSERT_TRUE(run_until([&] { return !heard->tokens.empty(); }));
  EXPECT_EQ(heard->tokens, std::vector<Token>{17});
}

// Bytes that do not fit their counts, tokens that the vocabulary does not have, too many rows.
TEST_F(CoordinatorTest, AWrongResultIsAFailedStepAndTheSequenceIsComputedAgain) {
  serve();
  auto heard = submit(1);
  const auto first = step(0);
  auto [result, raw] = answer(first, 40'000);
  a_.send(result, raw);
  ASSERT_TRUE(run_until([&] { return coordinator_->status().plan->epoch == Epoch{2}; }));
  const auto again = step(1);
  EXPECT_EQ(again.epoch, Epoch{2});
  EXPECT_EQ(again.rows.size(), 3u) << "from its first token";
  EXPECT_NE(again.rows[0].sequence, first.rows[0].sequence);
  send_answer(again, 17);
  ASSERT_TRUE(run_until([&] { return heard->ended(); }));
  EXPECT_EQ(heard->tokens, std::vector<Token>{17});
}

TEST_F(CoordinatorTest, AStageThatKeepsAnsweringWrongEndsTheSequenceWithItsError) {
  serve();
  auto heard = submit(1);
  std::size_t answered = 0;
  ASSERT_TRUE(run_until([&] {
    for (const auto& loads = a_.all<wire::LoadStage>(); loads.back().stage != stage_;) {
      stage_ = loads.back().stage;  // after two failures the stage is loaded anew
      a_.send(wire::StageReady{stage_});
    }
    for (; answered < a_.all<wire::Step>().size(); ++answered) {
      const auto failed = a_.all<wire::Step>()[answered];
      if (failed.rows.empty()) continue;
      a_.send(wire::StepResult{failed.epoch, failed.step, {1, 1}, {2.0, 2.0}, {}}, Bytes(16, 0));
    }
    return heard->ended();
  }));
  ASSERT_TRUE(heard->error);
  EXPECT_EQ(heard->error->code, ErrorCode::kCorrupt);
  EXPECT_THAT(heard->error->message, HasSubstr("another number of rows"));
}

// Goal: what a cancelled sequence left in the KV gives way as soon as another needs the room.
TEST_F(CoordinatorTest, ACancelledSequenceGivesWay) {
  serve();
  CompletionHandle handle;
  auto heard = submit(10, &handle);
  const auto first = step(0);
  coordinator_->cancel(handle);
  coordinator_->cancel(handle);  // ended: nothing happens
  send_answer(first, 17);
  settle();
  auto large = submit_prompt(std::vector<Token>(250, 9), 5);
  EXPECT_EQ(step(1).frees, std::vector{first.rows[0].sequence});
  EXPECT_TRUE(heard->tokens.empty());
  EXPECT_FALSE(heard->ended());
}

// Goal: a prompt that was there before costs one row, its answer begins anew, and the usage says so.
TEST_F(CoordinatorTest, APromptThatComesAgainIsFoundInTheKv) {
  serve();
  auto first = submit_prompt({3, 4, 5, 6, 7}, 1);
  send_answer(step(0), 9);
  ASSERT_TRUE(run_until([&] { return first->ended(); }));
  EXPECT_EQ(first->usage.cached_tokens, 0u);
  auto again = submit_prompt({3, 4, 5, 6, 7}, 1);
  const wire::Step second = step(1);
  ASSERT_EQ(second.rows.size(), 1u);
  EXPECT_EQ(second.rows[0].position, 4u);
  EXPECT_EQ(second.truncations, (std::vector<Truncation>{{second.rows[0].sequence, 4}}));
  send_answer(second, 9);
  ASSERT_TRUE(run_until([&] { return again->ended(); }));
  EXPECT_EQ(again->usage.cached_tokens, 4u);
  EXPECT_EQ(again->tokens, first->tokens);
  EXPECT_EQ(coordinator_->status().tokens_cached, 4u);
}

TEST_F(CoordinatorTest, AStageThatFailsIsSaidInTheStatus) {
  join(a_);
  ASSERT_TRUE(run_until([&] { return a_.has<wire::LoadStage>(); }));
  a_.send(wire::StageFailed{a_.all<wire::LoadStage>()[0].stage, ErrorCode::kResourceExhausted, "the disk is full"});
  ASSERT_TRUE(run_until([&] { return coordinator_->status().state == ClusterState::kNoPlan; }));
  EXPECT_THAT(coordinator_->status().why_no_plan, HasSubstr("the disk is full"));
}

TEST_F(CoordinatorTest, RunningAnswersEndWhenTheCoordinatorDoes) {
  serve();
  auto heard = submit(10);
  (void)step(0);
  coordinator_.reset();
  EXPECT_EQ(heard->reason, FinishReason::kCancelled);
}

TEST_F(CoordinatorTest, WhatARevokedNodeWasComputingOthersComputeAgain) {
  serve();
  join(b_);
  auto heard = submit(1);
  const auto lost = step(0);
  ASSERT_TRUE(coordinator_->revoke_node(a_.id()).ok());
  EXPECT_EQ(coordinator_->status().nodes.size(), 1u);
  const auto order = [&] { return b_.has<wire::LoadStage>() ? b_.all<wire::LoadStage>().back() : wire::LoadStage{}; };
  ASSERT_TRUE(run_until([&] { return order().stage && !order().fetch_only && a_.closed.has_value(); }));
  EXPECT_TRUE(b_.all<wire::LoadStage>()[0].fetch_only) << "a spare node until then";
  EXPECT_EQ(a_.closed->code, ErrorCode::kUnauthenticated);
  ASSERT_EQ(b_.all<wire::Plan>().back().stages.size(), 1u);
  EXPECT_EQ(b_.all<wire::Plan>().back().stages[0].node, b_.id());
  b_.send(wire::StageReady{order().stage});
  ASSERT_TRUE(run_until([&] { return b_.has<wire::Step>(); }));
  const auto again = b_.all<wire::Step>()[0];
  EXPECT_EQ(again.rows.size(), lost.rows.size()) << "from its first token";
  const auto [result, raw] = answer(again, 17);
  b_.send(result, raw);
  ASSERT_TRUE(run_until([&] { return heard->ended(); }));
  EXPECT_EQ(heard->tokens, std::vector<Token>{17});
}

TEST_F(CoordinatorTest, WithoutAPlanTheOneThatNamesARevokedNodeIsWithdrawn) {
  serve();
  join(b_, 1);  // too little for any plan
  ASSERT_TRUE(coordinator_->revoke_node(a_.id()).ok());
  EXPECT_EQ(coordinator_->status().state, ClusterState::kNoPlan);
  ASSERT_TRUE(run_until([&] { return b_.has<wire::Plan>(); }));
  EXPECT_EQ(b_.all<wire::Plan>().back(), (wire::Plan{Epoch{1}, {}}));
  EXPECT_EQ(coordinator_->revoke_node(a_.id()).error().code, ErrorCode::kNotFound);
}

// Goal: a trace has the steps that came back within it, with what the stage told, at the place on our clock where the
// stage's clock says; nobody else's trace is disturbed.
TEST_F(CoordinatorTest, ATraceHasTheStepsOfItsTime) {
  serve();
  EXPECT_TRUE(coordinator_->stop_trace().plans.empty()) << "none was started";
  auto heard = submit(4);
  send_answer(step(0), 5);  // without times: before the trace
  const wire::Step traced = step(1);
  ASSERT_TRUE(run_until([&] { return coordinator_->status().nodes.at(0).rtt_ms.has_value(); })) << "a Pong came";
  ASSERT_TRUE(coordinator_->start_trace().ok());
  EXPECT_EQ(coordinator_->start_trace().error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(coordinator_->status().tracing);
  // The node's clock is this process's: the step is put into its queue now, and its result comes much later.
  const Time queued = clock_.now();
  constexpr Duration kLater = std::chrono::milliseconds(100);
  ASSERT_TRUE(run_until([&] { return clock_.now() - queued > kLater; }));
  auto [result, raw] = answer(traced, 6);
  result.times = {{stage_, 7, 11, 13, static_cast<std::uint64_t>(queued.time_since_epoch().count())}};
  a_.send(result, raw);
  send_answer(step(2), 7);  // tells no times: left out
  send_answer(step(3), 8);
  ASSERT_TRUE(run_until([&] { return heard->ended(); }));

  const Trace trace = coordinator_->stop_trace();
  EXPECT_FALSE(coordinator_->status().tracing);
  ASSERT_EQ(trace.plans.size(), 1u);
  EXPECT_EQ(trace.plans[0].stages.at(0).stage, stage_);
  EXPECT_EQ(trace.plans[0].stages[0].node_name, "scripted");
  ASSERT_EQ(trace.steps.size(), 1u);
  EXPECT_EQ(trace.steps_left_out, 2u);
  const TracedStep& step = trace.steps[0];
  EXPECT_EQ(step.step, traced.step);
  EXPECT_EQ(step.rows.decode, 1u);
  EXPECT_EQ(step.passes.at(0).queue, Duration(7));
  EXPECT_EQ(step.passes[0].compute, Duration(11));
  EXPECT_EQ(step.passes[0].send, Duration(13));
  EXPECT_LE(step.sent, trace.end);
  EXPECT_TRUE(step.clocks_known);
  EXPECT_GT(step.link_back, kLater * 3 / 4) << "half of it if links were told apart by nothing";
  EXPECT_TRUE(coordinator_->start_trace().ok()) << "the next one";
}

// Goal: the life of a shoal, and a death, are events that are there after the coordinator's end.
TEST_F(CoordinatorTest, WhatHappensIsToldAsEvents) {
  const auto kinds = [&](const EventPage& page) {
    std::vector<std::string_view> names;
    for (const Event& event : page.events) names.push_back(to_string(event.kind));
    return names;
  };
  int calls = 0;
  const auto watch = coordinator_->watch_events([&] { ++calls; });
  serve();
  auto heard = submit(10);
  const auto sent = step(0);
  a_.send(wire::StepFailed{sent.epoch, sent.step, stage_, ErrorCode::kResourceExhausted, "out of memory"});
  a_.send(wire::StepFailed{sent.epoch, sent.step, stage_, ErrorCode::kResourceExhausted, "stale by then"});
  (void)step(1);
  a_.link->close();
  ASSERT_TRUE(run_until([&] { return coordinator_->status().state == ClusterState::kNoPlan; }));
  const EventPage page = coordinator_->events({}).value();
  EXPECT_EQ(kinds(page), (std::vector<std::string_view>{"coordinator_started", "node_paired", "node_connected",
                                                        "plan_made", "stage_ready", "plan_serving", "step_failed",
                                                        "plan_restarted", "node_lost", "plan_none"}));
  EXPECT_EQ(calls, static_cast<int>(page.events.size()) - 1) << "started before anybody watched";
  EXPECT_EQ(page.events[2].node, a_.id());
  EXPECT_EQ(page.events[2].node_name, "scripted");
  EXPECT_EQ(page.events[4].epoch, Epoch{1});
  EXPECT_TRUE(page.events[4].duration_ms && page.events[5].duration_ms);
  EXPECT_EQ(page.events[6].text, "a step failed: out of memory");
  EXPECT_THAT(page.events[9].text, AllOf(HasSubstr("no node is there"), HasSubstr("1 answer waits")));

  ASSERT_TRUE(coordinator_->revoke_node(a_.id()).ok());
  coordinator_.reset();
  SetUp();
  const EventPage later = coordinator_->events({.after = page.newest}).value();
  EXPECT_EQ(kinds(later),
            (std::vector<std::string_view>{"node_revoked", "coordinator_stopped", "coordinator_started"}));
  EXPECT_THAT(later.events[1].text, HasSubstr("1 answer cut short"));
  EXPECT_EQ(coordinator_->events({.limit = 13}).value().events.front(), page.events.front());
}

// Goal: who is asked to end says so to those who wait, once, and takes nothing more.
TEST_F(CoordinatorTest, AnswersThatRunEndWhenItStops) {
  serve();
  auto heard = submit(10);
  const auto sent = step(0);
  coordinator_->stop();
  EXPECT_EQ(heard->reason, FinishReason::kCancelled);
  send_answer(sent, 17);  // too late
  CompletionRequest request;
  request.prompt = {1, 2, 3};
  request.tokens_max = 1;
  const auto refused = coordinator_->submit(std::move(request), std::make_shared<Heard>());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(heard->tokens, std::vector<Token>{});
  coordinator_.reset();
  SetUp();
  const auto events = coordinator_->events({.limit = 2}).value().events;
  EXPECT_THAT(events[0].text, HasSubstr("1 answer cut short"));
}

// Goal: a key that outlives the coordinator is taken for the same answer only where it is the same one.
TEST_F(CoordinatorTest, WhatDecidesAnAnswerStaysTheSameOverRestarts) {
  const Digest before = coordinator_->decided_by();
  coordinator_.reset();
  SetUp();
  EXPECT_EQ(coordinator_->decided_by(), before);
  EXPECT_NE(before, model_->digest()) << "the settings count too";
}

TEST_F(CoordinatorTest, AnAnswerThatEndsWithAnErrorIsAnEvent) {
  serve();
  auto heard = submit(1);
  std::size_t answered = 0;
  ASSERT_TRUE(run_until([&] {
    if (const auto newest = a_.all<wire::LoadStage>().back().stage; newest != stage_) {
      stage_ = newest;  // after two failures the stage is loaded anew
      a_.send(wire::StageReady{stage_, {}, {}, 5u << 10});
    }
    for (; answered < a_.all<wire::Step>().size(); ++answered) {
      const auto failed = a_.all<wire::Step>()[answered];
      if (failed.rows.empty()) continue;
      a_.send(wire::StepFailed{failed.epoch, failed.step, stage_, ErrorCode::kResourceExhausted, "out of memory"});
    }
    return heard->ended();
  }));
  std::vector<std::string> texts;
  const EventPage page = coordinator_->events({}).value();
  for (const Event& event : page.events) texts.push_back(event.text);
  EXPECT_THAT(texts, Contains(HasSubstr("5.00 KiB fetched")));
  EXPECT_THAT(texts, Contains(AllOf(HasSubstr("answer 1 ended with an error (resource_exhausted): "),
                                    HasSubstr("out of memory"))));
}

TEST_F(CoordinatorTest, TokensLiveBetweenASecondAndThirtyDays) {
  for (auto lifetime : {std::chrono::seconds(0), std::chrono::seconds(-1), std::chrono::seconds(30 * 86400 + 1)}) {
    auto grant = coordinator_->create_token(lifetime);
    ASSERT_FALSE(grant.ok());
    EXPECT_EQ(grant.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(coordinator_->create_token(std::chrono::seconds(1)).ok());
}

TEST_F(CoordinatorTest, APortThatIsTakenIsSaid) {
  CoordinatorOptions options;
  options.cluster = coordinator_->cluster_endpoint();
  auto second = Coordinator::create(io_, clock_, transport_, *store_, *model_, options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
}

// --exact auto is decided here, from what the first node says, for every stage alike.
TEST_F(CoordinatorTest, ExactKernelsThatCostTooMuchAreLeftAndStatusSaysSo) {
  cost_ = {true, 0.34, "repacked Q4_K"};
  serve();
  EXPECT_EQ(a_.all<wire::LoadStage>()[0].settings.exact, ExactMode::kOff);
  const auto status = coordinator_->status();
  EXPECT_FALSE(status.exact);
  EXPECT_THAT(status.exactness, ::testing::HasSubstr("would cost 34 %; --exact on takes them"));
}

// Goal: candidates that cannot be are the step's failure, before any of them is sampled: the epoch ends, and the answer
// begins again from its tokens.
TEST_F(CoordinatorTest, LogitsThatCannotBeFailTheStep) {
  for (const int kind : {0, 1, 2}) {
    SCOPED_TRACE(kind);
    coordinator_.reset();
    SetUp();
    asks_for_cost_ = kind == 0;
    serve();
    auto heard = submit(1);
    const wire::Step sent = step(0);
    auto [result, raw] = answer(sent, kind == 0 ? -1 : 1 << 30);
    if (kind == 2) {
      result.candidate_counts = {0};
      raw.clear();
    }
    a_.send(result, raw);
    const wire::Step again = step(1);
    EXPECT_GT(again.epoch.value, sent.epoch.value);
    EXPECT_EQ(again.rows.size(), sent.rows.size());
    send_answer(again, 7);
    ASSERT_TRUE(run_until([&] { return heard->ended(); }));
    EXPECT_FALSE(heard->error.has_value());
    EXPECT_EQ(heard->tokens, (std::vector<Token>{7}));
  }
}

// Goal: a prompt that repeats itself brings drafts; those that come true are heard, and the rest is truncated.
TEST_F(CoordinatorTest, DraftsThatComeTrueAreHeard) {
  serve();
  auto heard = submit_prompt({1, 2, 3, 4, 5, 1, 2}, 16);
  send_answer(step(0), 3);
  const wire::Step drafted = step(1);
  ASSERT_GE(drafted.rows.size(), 2u);
  EXPECT_EQ(drafted.rows[0].token, 3);
  EXPECT_EQ(drafted.rows[1].token, 4);
  send_answers(drafted, {4, 9});  // 4 was right, 9 was not 5
  const wire::Step next = step(2);
  EXPECT_EQ(heard->tokens, (std::vector<Token>{3, 4, 9}));
  EXPECT_EQ(next.rows[0].token, 9);
  EXPECT_EQ(next.rows[0].position, 9u);
  EXPECT_EQ(next.truncations.size(), drafted.rows.size() > 2 ? 1u : 0u);
  EXPECT_EQ(coordinator_->status().drafts_accepted, 1u);
}

}  // namespace
}  // namespace shoal::coordinator
