// Choosing a token from candidates: llama.cpp's samplers in llama.cpp's order (top-k, top-p, min-p, temperature, draw).
//
// The same seed, parameters and candidates give the same tokens on every machine: candidates are ordered by logit, ties
// by token id, before anything else looks at them. One object a sequence; not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/stage_spec.h"

namespace shoal::model {

struct SamplingParameters {
  float temperature = 0.8f;  // 0: greedy
  std::int32_t top_k = 40;   // 0: all
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  std::uint64_t seed = 0;

  // kInvalidArgument with the parameter's name and its limits.
  Status check() const;
  // How many of the best logits the last stage must send so that sampling cannot tell the difference from all of
  // them; nullopt: all. `logprobs` of the best tokens are asked for besides.
  std::optional<std::uint32_t> logits_needed(std::uint32_t logprobs) const;
};

struct Candidate {
  Token token = 0;
  float logit = 0;
};

// The last stage's answer for one row: the best candidates (logit descending, then token id), and the normaliser over
// the whole vocabulary, so that log-probabilities are those of the whole distribution.
struct Logits {
  std::vector<Candidate> candidates;
  double log_sum_exp = 0;

  double logprob(std::size_t index) const { return static_cast<double>(candidates[index].logit) - log_sum_exp; }
};

// The best `count` (nullopt: all) of a whole row of logits. NaN sorts last.
Logits best_logits(const float* logits, std::uint32_t vocabulary_size, std::optional<std::uint32_t> count);

class Sampler {
 public:
  explicit Sampler(const SamplingParameters& parameters);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  // `logits.candidates` must not be empty. Returns the index of the chosen candidate.
  std::size_t sample(const Logits& logits);

 private:
  struct Chain;
  std::unique_ptr<Chain> chain_;
};

}  // namespace shoal::model
