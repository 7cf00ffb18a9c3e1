// Speculation. Text that repeats itself is guessed by looking up what followed last time; other text by a draft model,
// where there is one (scheduler.h, AskDrafts). The guessed tokens (drafts) travel as further rows of the sequence's
// step, each wanting logits; the owner samples row by row and stops at the first that differs from its draft, so the
// answer is the one without drafts, bit by bit, also when sampling: a draft only decides whether the next row's logits
// are there already. Pure.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/stage_spec.h"
#include "sched/step_cost.h"

namespace shoal::sched {

// What followed the last tokens of a sequence when they stood in it before (prompt lookup): the longest known end of 3
// or 2 tokens, its latest place. O(new tokens) a call; memory O(tokens).
class NgramLookup {
 public:
  // At most `count` tokens that may follow `tokens`, which only ever grows from call to call. Goes on into the drafts
  // themselves where the repetition is shorter than `count`.
  std::vector<Token> find(const std::vector<Token>& tokens, std::size_t count);

 private:
  void learn(const std::vector<Token>& tokens);

  std::unordered_map<std::uint64_t, std::uint32_t> next_;  // hash of an n-gram -> index of the token after it
  std::size_t learned_ = 0;                                // n-grams that end before this index are in
};

// How sure the drafts of a sequence have been, from 0 to 1. `first`: before anything is known.
class Acceptance {
 public:
  explicit Acceptance(double first) : first_(first), rate_(first) {}
  void tried(std::size_t drafts, std::size_t accepted);
  void not_tried();  // without evidence it drifts back, so that what did not pay is tried again some day
  double rate() const { return rate_; }

 private:
  double first_;
  double rate_;
};

// How many drafts of at most `drafts_max` a sequence should send in a step that has `decode_rows` rows of all sequences
// without drafts: the number that gives most tokens a second. 0: none pays.
struct DraftCount {
  std::size_t count = 0;
  double speed = 0;  // tokens of all these sequences a microsecond, in expectation; to compare with another source's
};
// `trip`: a step's cost by its rows. `drafting`: what the drafts cost before the step is sent, by their number (a row
// each); nullptr: nothing.
DraftCount best_draft_count(const RowCosts& trip, const CostLine* drafting, double acceptance, std::size_t decode_rows,
                            std::size_t drafts_max);

}  // namespace shoal::sched
