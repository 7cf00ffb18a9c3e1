// Goal: a completion's tokens reach its sink once and in order, with its times and its count; what a stage sends is
// checked. How: a vocabulary of ten words, logits made by hand, a clock that is a number.
#include "coordinator/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal::coordinator {
namespace {

using std::chrono::milliseconds;

constexpr Token kEnd = 9;

class TenWords final : public model::Vocabulary {
 public:
  std::uint32_t size() const override { return 10; }
  std::vector<Token> tokenize(std::string_view, bool, bool) const override { return {}; }
  std::string piece(Token token) const override {
    return token == kEnd ? "" : std::string(1, static_cast<char>('a' + token));
  }
  bool ends_generation(Token token) const override { return token == kEnd; }
  bool has_chat_template() const override { return false; }
  Result<std::string> apply_chat_template(const std::vector<model::ChatMessage>&) const override {
    return std::string();
  }
};

struct Heard final : CompletionSink {
  std::string text;
  std::uint32_t tokens = 0;
  std::vector<TokenLogprobs> logprobs;
  std::optional<FinishReason> reason;
  Usage usage;
  Timings timings;
  std::optional<Error> error;

  void on_tokens(TextDelta delta) override {
    EXPECT_FALSE(reason || error) << "after the last call";
    text += delta.text;
    tokens += delta.tokens;
    for (auto& each : delta.logprobs) logprobs.push_back(std::move(each));
  }
  void on_end(FinishReason why, Usage used, Timings took) override {
    EXPECT_FALSE(reason || error);
    reason = why;
    usage = used;
    timings = took;
  }
  void on_error(Error what) override { error = std::move(what); }
};

Time at(int ms) {
  return Time(milliseconds(1000 + ms));
}

model::Logits only(Token token) {
  return {{{token, 1.5f}}, 2.0};
}

class AnswerTest : public ::testing::Test {
 protected:
  Answer make(std::vector<std::string> stop = {}, std::optional<std::uint32_t> logprobs = {}) {
    CompletionRequest request;
    request.prompt = {1, 2, 3};
    request.sampling.temperature = 0;
    request.tokens_max = 10;
    request.stop = std::move(stop);
    request.logprobs = logprobs;
    return Answer(vocabulary_, std::move(request), heard_, at(0));
  }

  TenWords vocabulary_;
  std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
};

TEST_F(AnswerTest, ATokenIsHeardWhenItIsEmittedNotWhenItIsChosen) {
  Answer answer = make();
  auto choice = answer.choose(only(2));
  EXPECT_EQ(choice.token, 2);
  EXPECT_FALSE(choice.ends);
  EXPECT_EQ(heard_->text, "");
  answer.token_emitted(at(5));
  EXPECT_EQ(heard_->text, "c");
  EXPECT_EQ(heard_->tokens, 1u);
}

TEST_F(AnswerTest, CountsAndTimesOfAWholeAnswer) {
  Answer answer = make();
  answer.admitted(at(10));
  answer.admitted(at(20));  // a later row 0: the sequence is computed again after a failure
  (void)answer.choose(only(0));
  answer.token_emitted(at(40));
  (void)answer.choose(only(1));
  answer.token_emitted(at(70));
  auto last = answer.choose(only(kEnd));
  EXPECT_TRUE(last.ends);
  answer.end(FinishReason::kStop, 3, at(90));
  EXPECT_EQ(heard_->text, "ab");
  EXPECT_EQ(heard_->tokens, 3u) << "the end-of-generation token counts";
  EXPECT_EQ(heard_->usage.prompt_tokens, 3u);
  EXPECT_EQ(heard_->usage.completion_tokens, 3u);
  EXPECT_EQ(heard_->usage.cached_tokens, 3u);
  EXPECT_EQ(*heard_->reason, FinishReason::kStop);
  EXPECT_DOUBLE_EQ(heard_->timings.queued_ms, 10);
  EXPECT_DOUBLE_EQ(heard_->timings.prompt_ms, 30);
  EXPECT_DOUBLE_EQ(heard_->timings.answer_ms, 50);
}

TEST_F(AnswerTest, AStopStringEndsItAndIsNotHeard) {
  Answer answer = make({"bc"});
  std::vector<bool> ends;
  for (Token token : {0, 1, 2}) {
    auto choice = answer.choose(only(token));
    ends.push_back(choice.ends);
    if (!choice.ends) answer.token_emitted(at(1));
  }
  EXPECT_EQ(ends, (std::vector{false, false, true}));
  answer.end(FinishReason::kStop, 0, at(2));
  EXPECT_EQ(heard_->text, "a");
  EXPECT_EQ(heard_->tokens, 3u);
}

TEST_F(AnswerTest, HeldBackTextIsHeardAtTheEnd) {
  Answer answer = make({"bc"});
  (void)answer.choose(only(1));
  answer.token_emitted(at(1));
  EXPECT_EQ(heard_->text, "") << "may become the stop string";
  answer.end(FinishReason::kLength, 0, at(2));
  EXPECT_EQ(heard_->text, "b");
}

TEST_F(AnswerTest, LogprobsComeWithTheWholeDistributionsNormaliser) {
  Answer answer = make({}, 2);
  model::Logits logits{{{4, 3.0f}, {5, 2.0f}, {6, 1.0f}}, 4.0};
  (void)answer.choose(logits);
  answer.token_emitted(at(1));
  ASSERT_EQ(heard_->logprobs.size(), 1u);
  EXPECT_EQ(heard_->logprobs[0].chosen.token, 4);
  EXPECT_DOUBLE_EQ(heard_->logprobs[0].chosen.logprob, -1);
  ASSERT_EQ(heard_->logprobs[0].best.size(), 2u);
  EXPECT_DOUBLE_EQ(heard_->logprobs[0].best[1].logprob, -2);
}

// Drafts that came true: several tokens are chosen before the first is emitted, and are heard one by one all the same.
TEST_F(AnswerTest, TokensOfOneStepAreHeardOneByOne) {
  Answer answer = make();
  (void)answer.choose(only(0));
  (void)answer.choose(only(1));
  answer.token_emitted(at(1));
  EXPECT_EQ(heard_->text, "a");
  EXPECT_EQ(heard_->tokens, 1u);
  answer.token_emitted(at(1));
  EXPECT_EQ(heard_->text, "ab");
  EXPECT_EQ(heard_->tokens, 2u);
  answer.end(FinishReason::kLength, 0, at(1));
  EXPECT_EQ(heard_->usage.completion_tokens, 2u);
}

TEST_F(AnswerTest, EndedBeforeItBegan) {
  Answer answer = make();
  answer.end(FinishReason::kCancelled, 0, at(30));
  EXPECT_EQ(*heard_->reason, FinishReason::kCancelled);
  EXPECT_EQ(heard_->usage.completion_tokens, 0u);
  EXPECT_GE(heard_->timings.queued_ms, 0);
  EXPECT_DOUBLE_EQ(heard_->timings.answer_ms, 0);
}

}  // namespace
}  // namespace shoal::coordinator
