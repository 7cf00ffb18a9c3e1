#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::model {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(std::uint32_t count, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> logits(count);
  // Coarse steps, so that ties are common.
  for (float& logit : logits) logit = static_cast<float>(random.below(400)) / 16.0f - 12.0f;
  return logits;
}

// The order by the book: a stable sort over the whole row.
std::vector<Candidate> sorted_all(const std::vector<float>& logits) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < logits.size(); ++i) all.push_back({static_cast<Token>(i), logits[i]});
  std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  return all;
}

std::vector<Token> draw(const SamplingParameters& parameters, const Logits& logits, int count) {
  Sampler sampler(parameters);
  std::vector<Token> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(logits.candidates[sampler.sample(logits)].token);
  return tokens;
}

// Goal: best_logits is the head of the fully sorted row, ties by token id, for every count.
TEST(BestLogits, AreTheHeadOfTheSortedRow) {
  for (const std::uint32_t size : {1u, 2u, 63u, 1000u, 50'000u}) {
    const std::vector<float> logits = random_logits(size, size);
    const std::vector<Candidate> expected = sorted_all(logits);
    for (const std::uint32_t count : {1u, 2u, 40u, 999u, 60'000u}) {
      const Logits best = best_logits(logits.data(), size, count);
      ASSERT_EQ(best.candidates.size(), std::min(size, count));
      for (std::size_t i = 0; i < best.candidates.size(); ++i) {
        ASSERT_EQ(best.candidates[i].token, expected[i].token) << size << " " << count << " " << i;
      }
    }
    EXPECT_EQ(best_logits(logits.data(), size, std::nullopt).candidates.size(), size);
  }
}

TEST(BestLogits, NormaliseOverTheWholeRow) {
  const std::vector<float> logits = {1.0f, 2.0f, 3.0f, -kInf, kNan};
  const Logits best = best_logits(logits.data(), 5, 2);
  EXPECT_NEAR(best.log_sum_exp, std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0)), 1e-6);
  EXPECT_NEAR(best.logprob(0), 3.0 - best.log_sum_exp, 1e-12);
  // Whole rows, against the sum in double: a wide one and a narrow one.
  for (const float scale : {0.1f, 1.0f, 8.0f}) {
    std::vector<float> row = random_logits(50'003, 21);
    double sum = 0;
    for (float& logit : row) sum += std::exp(static_cast<double>(logit *= scale));
    EXPECT_NEAR(best_logits(row.data(), 50'003, 1).log_sum_exp, std::log(sum), 1e-6) << scale;
  }
  const std::vector<float> one_hot = {-1e30f, 50.0f, -kInf, -200.0f};
  EXPECT_NEAR(best_logits(one_hot.data(), 4, 1).log_sum_exp, 50.0, 1e-6);
  const std::vector<float> none(9, -kInf);
  EXPECT_EQ(best_logits(none.data(), 9, 1).log_sum_exp, -kInf);
}

TEST(BestLogits, PutNanLast) {
  std::vector<float> logits(500, kNan);
  logits[480] = -kInf;
  logits[490] = 1.0f;
  const Logits best = best_logits(logits.data(), 500, 3);
  EXPECT_EQ(best.candidates[0].token, 490);
  EXPECT_EQ(best.candidates[1].token, 480);
  EXPECT_EQ(best.candidates[2].token, 0);
}

// Goal: sampling cannot tell the difference between what logits_needed asks for and the whole row.
TEST(Sampler, NeedsNoMoreLogitsThanItAsksFor) {
  const std::vector<float> logits = random_logits(5000, 7);
  const std::vector<SamplingParameters> table = {
      {.temperature = 0.0f, .seed = 1},
      {.seed = 2},
      {.temperature = 2.0f, .top_k = 3, .top_p = 1.0f, .min_p = 0.0f, .seed = 3},
      {.temperature = 1.0f, .top_k = 200, .top_p = 0.5f, .min_p = 0.0f, .seed = 4},
      {.temperature = 1.0f, .top_k = 0, .top_p = 0.0f, .seed = 5},
  };
  for (const SamplingParameters& parameters : table) {
    ASSERT_TRUE(parameters.check().ok());
    const std::optional<std::uint32_t> needed = parameters.logits_needed(0);
    ASSERT_TRUE(needed.has_value());
    const Logits few = best_logits(logits.data(), 5000, needed);
    const Logits all = best_logits(logits.data(), 5000, std::nullopt);
    EXPECT_EQ(draw(parameters, few, 200), draw(parameters, all, 200)) << "seed " << parameters.seed;
  }
}

TEST(Sampler, LogitsNeededCoverLogprobs) {
  EXPECT_EQ((SamplingParameters{.temperature = 0}).logits_needed(0), 1u);
  EXPECT_EQ((SamplingParameters{.temperature = 0}).logits_needed(5), 5u);
  EXPECT_EQ((SamplingParameters{.top_k = 40}).logits_needed(5), 40u);
  EXPECT_EQ((SamplingParameters{.top_k = 2}).logits_needed(20), 20u);
  EXPECT_EQ((SamplingParameters{.top_k = 0}).logits_needed(20), std::nullopt);
}

// Goal: the order in which candidates arrive does not show, ties included.
TEST(Sampler, IgnoresTheOrderOfArrival) {
  const std::vector<float> logits = random_logits(300, 9);
  const Logits sorted = best_logits(logits.data(), 300, std::nullopt);
  Logits shuffled = sorted;
  SplitMix64 random(5);
  for (std::size_t i = shuffled.candidates.size(); i > 1; --i) {
    std::swap(shuffled.candidates[i - 1], shuffled.candidates[random.below(i)]);
  }
  for (const float temperature : {0.0f, 1.0f}) {
    const SamplingParameters parameters{.temperature = temperature, .seed = 77};
    EXPECT_EQ(draw(parameters, sorted, 100), draw(parameters, shuffled, 100));
  }
}

// Goal: the drawn shares follow the softmax. 20000 draws: three standard deviations are 0.011 at the most.
TEST(Sampler, DrawsFromTheSoftmax) {
  const std::vector<float> logits = {0.0f, 1.0f, 2.0f};
  const Logits all = best_logits(logits.data(), 3, std::nullopt);
  std::map<Token, int> counts;
  for (const Token token : draw({.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 3}, all, 20'000)) {
    ++counts[token];
  }
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(counts[all.candidates[i].token] / 20'000.0, std::exp(all.logprob(i)), 0.011);
  }
}

TEST(Sampler, SeedsDecide) {
  const std::vector<float> logits = random_logits(1000, 11);
  const Logits all = best_logits(logits.data(), 1000, 40u);
  const auto with_seed = [&](std::uint64_t seed) { return draw({.temperature = 1.5f, .seed = seed}, all, 64); };
  EXPECT_EQ(with_seed(1), with_seed(1));
  EXPECT_NE(with_seed(1), with_seed(2));
  EXPECT_NE(with_seed(1), with_seed((std::uint64_t{1} << 32) + 1));
  // llama.cpp takes this one as "random": here it is a seed like any other.
  EXPECT_EQ(with_seed(0xffffffffu), with_seed(0xffffffffu));
  EXPECT_EQ(with_seed(~std::uint64_t{0}), with_seed(~std::uint64_t{0}));
}

// Goal: the known stream of a seed; a change of llama.cpp or of the fold that alters answers must be seen. Expected
// from an independent calculation: mt19937(42), u = (a + b 2^32) / 2^64 of two draws, the first index whose running sum
// of exp(logit) reaches u times the total.
TEST(Sampler, StreamOfOneSeedIsFixed) {
  const std::vector<float> logits = {2.0f, 1.5f, 1.0f, 0.5f, 0.0f, -0.5f};
  const Logits all = best_logits(logits.data(), 6, std::nullopt);
  const std::vector<Token> tokens = draw({.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 42}, all, 12);
  EXPECT_EQ(tokens, (std::vector<Token>{2, 0, 2, 1, 1, 0, 1, 0, 0, 1, 0, 2}));
}

TEST(Sampler, SurvivesLogitsThatAreNoNumbers) {
  const SamplingParameters parameters{.temperature = 1, .seed = 1};
  Sampler sampler(parameters);
  EXPECT_EQ(sampler.sample({{{7, kNan}}, 0}), 0u);
  EXPECT_EQ(sampler.sample({{{7, -kInf}, {8, -kInf}}, 0}), 0u);
  EXPECT_EQ(sampler.sample({{{7, kInf}, {8, 1.0f}}, 0}), 0u);
  EXPECT_EQ(sampler.sample({{{8, kNan}, {7, 1.0f}}, 0}), 1u);
  Sampler cold({.temperature = 1e-40f, .seed = 1});
  EXPECT_EQ(cold.sample({{{7, 30.0f}, {8, 29.0f}}, 0}), 0u);
}

TEST(SamplingParameters, NamesWhatIsOutOfRange) {
  EXPECT_TRUE(SamplingParameters{}.check().ok());
  const auto message = [](const SamplingParameters& parameters) {
    const Status status = parameters.check();
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(message({.temperature = 3}), "temperature must be from 0 to 2, not 3");
  EXPECT_EQ(message({.temperature = kNan}), "temperature must be from 0 to 2, not nan");
  EXPECT_EQ(message({.top_k = -1}), "top_k must be 0 (off) or more, not -1");
  EXPECT_EQ(message({.top_p = -0.5f}), "top_p must be from 0 to 1, not -0.5");
  EXPECT_EQ(message({.min_p = 1.5f}), "min_p must be from 0 to 1, not 1.5");
}

}  // namespace
}  // namespace shoal::model
