// Goal: a shoal of any number of nodes answers as one node does, alone and in company, within its KV. How: whole shoals
// in this process; answers compared bit by bit.
#include <gmock/gmock.h>

#include "integration/shoal_in_process.h"

namespace shoal::test {
namespace {

using coordinator::FinishReason;
using ::testing::HasSubstr;

const coordinator::CompletionRequest kRequest = request_of(prompt_of(40), 24);

class ShoalOf : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Nodes, ShoalOf, ::testing::Values(2, 3, 4));

TEST_P(ShoalOf, AnswersAsOneNodeDoes) {
  const auto sampled = sampled_request_of(prompt_of(70, 11), 24, 5);
  const auto expected = answers_of_one_node({kRequest, sampled});
  Shoal shoal(GetParam());
  shoal.serve();
  const auto status = shoal.status();
  ASSERT_EQ(status.plan->stages.size(), GetParam());
  EXPECT_TRUE(status.exact) << status.exactness;
  expect_equal(*shoal.complete(kRequest), *expected[0]);
  expect_equal(*shoal.complete(sampled), *expected[1]);
  EXPECT_EQ(shoal.status().relayed_bytes, 0u) << "hidden states went node to node";
  for (std::size_t i = 0; i + 1 < GetParam(); ++i) {
    EXPECT_EQ(shoal.status().plan->stages[i].to_next, coordinator::LinkPath::kDirect) << i;
  }
}

TEST(Serving, FourAtOnceAnswerAsAloneOnes) {
  std::vector<coordinator::CompletionRequest> requests;
  for (Token i = 0; i < 4; ++i) {
    requests.push_back(sampled_request_of(prompt_of(20 + 15 * static_cast<std::size_t>(i), 5 + i), 24, 100 + i));
  }
  const auto expected = answers_of_one_node(requests);
  Shoal shoal(3);
  shoal.serve();
  std::vector<std::shared_ptr<Heard>> heard;
  for (const auto& request : requests) heard.push_back(shoal.submit(request));
  EXPECT_TRUE(shoal.run_until([&] { return shoal.status().sequences_live == 4; })) << "all in the pipeline together";
  EXPECT_TRUE(shoal.run_until(
      [&] { return std::all_of(heard.begin(), heard.end(), [](const auto& each) { return each->ended(); }); }));
  for (std::size_t i = 0; i < heard.size(); ++i) expect_equal(*heard[i], *expected[i]);
}

TEST(Serving, MoreThanTheKvHoldsWaitTheirTurn) {
  const auto large = request_of(prompt_of(250), 50);  // two of them need 600 of 512 cells
  const auto expected = answers_of_one_node({large});
  Shoal shoal(2);
  shoal.serve();
  auto first = shoal.submit(large);
  auto second = shoal.submit(large);
  ASSERT_TRUE(shoal.run_until([&] { return first->calls > 0; }));
  EXPECT_EQ(shoal.status().sequences_live, 1u);
  EXPECT_EQ(shoal.status().sequences_waiting, 1u);
  ASSERT_TRUE(shoal.run_until([&] { return first->ended() && second->ended(); }));
  expect_equal(*first, *expected[0]);
  expect_equal(*second, *expected[0]);
}

TEST(Serving, ACancelledSequenceLeavesNoKvBehind) {
  Shoal shoal(2);
  shoal.serve();
  coordinator::CompletionHandle handle;
  auto cancelled = shoal.submit(request_of(prompt_of(100), 400), &handle);
  ASSERT_TRUE(shoal.run_until([&] { return cancelled->tokens.size() >= 5; }));
  EXPECT_EQ(shoal.status().kv_tokens_reserved, 500u);
  shoal.coordinator().cancel(handle);
  const auto calls = cancelled->calls;
  ASSERT_TRUE(shoal.run_until([&] { return shoal.status().sequences_live == 0; }));
  EXPECT_EQ(shoal.status().kv_tokens_reserved, 0u);
  // Every cell of the stages: one that was not freed there would be missing.
  auto next = shoal.complete(request_of(prompt_of(511), 1));
  EXPECT_FALSE(next->error) << next->error->message;
  EXPECT_EQ(next->usage.completion_tokens, 1u);
  EXPECT_EQ(shoal.status().plan->epoch.value, 1u) << "no step failed";
  EXPECT_EQ(cancelled->calls, calls) << "nothing is heard after cancel()";
  EXPECT_FALSE(cancelled->ended());
}

TEST(Serving, APromptLongerThanTheKvIsRefusedAndHarmsNobody) {
  Shoal shoal(2);
  shoal.serve();
  auto heard = std::make_shared<Heard>();
  auto refused = shoal.coordinator().submit(request_of(prompt_of(600), 10), heard);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("512"));
  EXPECT_EQ(heard->calls, 0u) << "the error is submit()'s, not the sink's";
  EXPECT_FALSE(shoal.complete(kRequest)->error);
}

TEST(Serving, TheAnswerEndsWhereTheContextDoes) {
  Shoal shoal(2);
  shoal.serve();
  auto heard = shoal.complete(request_of(prompt_of(500), 12));
  ASSERT_FALSE(heard->error) << heard->error->message;
  EXPECT_EQ(heard->reason, FinishReason::kLength);
  EXPECT_EQ(heard->usage.prompt_tokens, 500u);
  EXPECT_EQ(heard->usage.completion_tokens, 12u);
}

TEST(Serving, TooLittleMemoryIsSaidInNumbersAndMendedByANode) {
  sched::Limits limits;
  limits.plan_wait_max = std::chrono::milliseconds(300);
  Shoal shoal(1, Shoal::default_settings(), limits);
  shoal.start_node({.name = "small", .memory_bytes_max = 12u << 20});
  ASSERT_TRUE(shoal.run_until([&] { return shoal.status().why_no_plan.find("missing") != std::string::npos; }));
  EXPECT_THAT(shoal.status().why_no_plan, HasSubstr("the model needs"));
  auto heard = std::make_shared<Heard>();
  auto submitted = shoal.coordinator().submit(kRequest, heard);
  if (submitted.ok()) {
    ASSERT_TRUE(shoal.run_until([&] { return heard->ended(); }));
    submitted = *heard->error;
  }
  EXPECT_THAT(submitted.error().message, HasSubstr("missing"));

  shoal.start_node({.name = "large"});
  ASSERT_TRUE(shoal.run_until_serving());
  EXPECT_FALSE(shoal.complete(kRequest)->error);
}

TEST(Serving, EveryStageKeepsToItsPlannedMemory) {
  Shoal shoal(4);
  shoal.serve();
  const auto status = shoal.status();
  for (const auto& stage : status.plan->stages) {
    EXPECT_LE(stage.memory.total(), stage.memory_planned_bytes) << stage.range.text();
    EXPECT_GT(stage.memory.weights_bytes, 0u);
  }
}

}  // namespace
}  // namespace shoal::test
