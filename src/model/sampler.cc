#include "model/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>

#include <fmt/format.h>

#include "llama.h"

namespace shoal::model {
namespace {

// The order everything in this file agrees on: logit descending, NaN last, ties by token id. Total, so that no sort
// algorithm's choices can show.
bool comes_before(const Candidate& a, const Candidate& b) {
  const bool a_nan = std::isnan(a.logit), b_nan = std::isnan(b.logit);
  if (a_nan || b_nan) return a_nan == b_nan ? a.token < b.token : b_nan;
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// Draws are seeded with 32 bits. Seeds below 2^32 stay what they are, as in llama.cpp; LLAMA_DEFAULT_SEED itself would
// mean a random seed there, so it is moved aside.
std::uint32_t fold_seed(std::uint64_t seed) {
  const auto folded = static_cast<std::uint32_t>(seed ^ (seed >> 32));
  return folded == LLAMA_DEFAULT_SEED ? LLAMA_DEFAULT_SEED - 1 : folded;
}

Status check_range(const char* name, float value, float low, float high) {
  if (value >= low && value <= high) return {};  // false for NaN
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{} must be from {:g} to {:g}, not {:g}", name, low, high, value)};
}

// e^x for x <= 0, to 1e-7 of its value: 2^i times the Taylor series of 2^f, f in [-0.5, 0.5]. Unlike std::exp it
// vectorises, and a vocabulary has up to 262144 logits.
float exp_of_negative(float x) {
  constexpr float kRound = 12'582'912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  // Below the smallest normal float, and NaN: as good as nothing. As integers negative floats order by magnitude, and
  // an integer minimum is no branch to the compiler.
  const std::int32_t bits = std::bit_cast<std::int32_t>(x * 1.44269504f) | INT32_MIN;
  const float t = std::bit_cast<float>(std::min(bits, std::bit_cast<std::int32_t>(-126.0f)));
  const float rounded = t + kRound;
  const float f = (t - (rounded - kRound)) * 0.693147181f;
  const float series =
      1.0f +
      f * (1.0f + f * (0.5f + f * (1.66666667e-1f + f * (4.16666667e-2f + f * (8.33333333e-3f + f * 1.38888889e-3f)))));
  const std::int32_t exponent = std::bit_cast<std::int32_t>(rounded) - std::bit_cast<std::int32_t>(kRound);
  return series * std::bit_cast<float>((exponent + 127) << 23);
}

// Sums in eight lanes, so that the compiler may use vectors without changing the order of additions.
constexpr std::size_t kLanes = 8;

float highest_of(const float* logits, std::size_t count) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, -std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) lanes[k] = logits[i + k] > lanes[k] ? logits[i + k] : lanes[k];
  }
  for (; i < count; ++i) lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
  return *std::max_element(lanes, lanes + kLanes);
}

double log_sum_exp_of(const float* logits, std::size_t count) {
  const float highest = highest_of(logits, count);
  if (!std::isfinite(highest)) return highest;
  // A block of powers at a time, each block padded with nothing: plain loops that vectorise.
  constexpr std::size_t kBlock = 256;
  float powers[kBlock];
  double lanes[kLanes] = {};
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t size = std::min(kBlock, count - begin);
    for (std::size_t i = 0; i < size; ++i) powers[i] = exp_of_negative(logits[begin + i] - highest);
    std::fill(powers + size, powers + kBlock, 0.0f);
    for (std::size_t i = 0; i < kBlock; i += kLanes) {
      for (std::size_t k = 0; k < kLanes; ++k) lanes[k] += static_cast<double>(powers[i + k]);
    }
  }
  return static_cast<double>(highest) + std::log(std::accumulate(lanes, lanes + kLanes, 0.0));
}

}  // namespace

Status SamplingParameters::check() const {
  SHOAL_RETURN_IF_ERROR(check_range("temperature", temperature, 0, 2));
  SHOAL_RETURN_IF_ERROR(check_range("top_p", top_p, 0, 1));
  SHOAL_RETURN_IF_ERROR(check_range("min_p", min_p, 0, 1));
  if (top_k < 0) return Error{ErrorCode::kInvalidArgument, fmt::format("top_k must be 0 (off) or more, not {}", top_k)};
  return {};
}

std::optional<std::uint32_t> SamplingParameters::logits_needed(std::uint32_t logprobs) const {
  // top_p = 0 keeps the best candidate alone, as greedy does. What top_p and min_p keep otherwise depends on the
  // logits.
  if (temperature <= 0 || top_p <= 0) return std::max(1u, logprobs);
  if (top_k > 0) return std::max(static_cast<std::uint32_t>(top_k), logprobs);
  return std::nullopt;
}

Logits best_logits(const float* logits, std::uint32_t vocabulary_size, std::optional<std::uint32_t> count) {
  Logits result;
  result.log_sum_exp = log_sum_exp_of(logits, vocabulary_size);
  const std::size_t wanted = std::min(count.value_or(vocabulary_size), vocabulary_size);
  if (wanted == 0) return result;

  // One pass: candidates that beat the worst of the best so far are gathered, and cut back to `wanted` when the buffer
  // is full. A later token with the same logit never beats an earlier one, so `>` is the whole order here.
  std::vector<Candidate>& best = result.candidates;
  const std::size_t buffer_max = std::min<std::size_t>(vocabulary_size, 2 * wanted + 64);
  best.reserve(buffer_max);
  float worst = -std::numeric_limits<float>::infinity();
  bool full = false;
  for (std::uint32_t token = 0; token < vocabulary_size; ++token) {
    if (full && !(logits[token] > worst)) continue;
    best.push_back({static_cast<Token>(token), logits[token]});
    if (best.size() < buffer_max || token + 1 == vocabulary_size) continue;
    std::nth_element(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(wanted) - 1, best.end(), comes_before);
    best.resize(wanted);
    full = !std::isnan(best.back().logit);  // a NaN is no threshold: everything may still beat it
    worst = best.back().logit;
  }
  const auto end = best.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, best.size()));
  std::partial_sort(best.begin(), end, best.end(), comes_before);
  best.erase(end, best.end());
  return result;
}

struct Sampler::Chain {
  explicit Chain(const SamplingParameters& p) : parameters(p) {
    chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    llama_sampler_chain_add(chain, llama_sampler_init_top_k(p.top_k));
    llama_sampler_chain_add(chain, llama_sampler_init_top_p(p.top_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_min_p(p.min_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(p.temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(fold_seed(p.seed)));
  }
  ~Chain() { llama_sampler_free(chain); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  SamplingParameters parameters;
  llama_sampler* chain = nullptr;
  std::vector<llama_token_data> data;  // kept between calls for its memory
  std::vector<std::size_t> order;      // data[i] is candidates[order[i]]
};

Sampler::Sampler(const SamplingParameters& parameters) : chain_(std::make_unique<Chain>(parameters)) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

std::size_t Sampler::sample(const Logits& logits) {
  const std::vector<Candidate>& candidates = logits.candidates;
  SHOAL_ASSERT(!candidates.empty());
  std::vector<std::size_t>& order = chain_->order;
  order.resize(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (!std::is_sorted(candidates.begin(), candidates.end(), comes_before)) {
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return comes_before(candidates[a], candidates[b]); });
  }
  if (chain_->parameters.temperature <= 0) return order[0];

  std::vector<llama_token_data>& data = chain_->data;
  data.clear();
  for (const std::size_t index : order) {
    if (std::isnan(candidates[index].logit)) break;
    data.push_back({candidates[index].token, candidates[index].logit, 0.0f});
  }
  // Infinite logits have no softmax: the best one is the answer, whatever the temperature.
  if (data.empty() || !std::isfinite(data[0].logit / chain_->parameters.temperature)) return order[0];

  // Sorted is said here, so that llama.cpp's own (unstable) sorts never run.
  llama_token_data_array array{data.data(), data.size(), -1, true};
  llama_sampler_apply(chain_->chain, &array);
  if (array.selected < 0 || static_cast<std::size_t>(array.selected) >= order.size()) return order[0];
  return order[static_cast<std::size_t>(array.selected)];
}

}  // namespace shoal::model
