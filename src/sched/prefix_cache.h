// What ended sequences left in the stages' KV, so that a prompt that begins alike is not computed again: a turn of a
// conversation goes on where the one before it ended, and a system prompt is computed once. Bookkeeping only: ids and
// lengths travel in steps, the KV is the stages'. Pure.
//
// Everything in here is of one epoch; the owner clears it when the epoch ends. What is kept counts towards
// kv_tokens_total and sequences_max, and gives way to live sequences, least recently used first.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/stage_spec.h"

namespace shoal::sched {

// Below it a beginning is not worth a sequence of its own.
inline constexpr std::uint32_t kForkTokensMin = 16;

struct Kept {
  SequenceId id;
  std::vector<Token> tokens;  // of its first rows
  std::uint32_t rows = 0;     // in the KV: those, and drafts behind them that were wrong
};

// How many tokens two texts have in common at their beginnings.
std::uint32_t common_beginning(std::span<const Token> a, std::span<const Token> b);

class PrefixCache {
 public:
  void keep(Kept kept);  // as the most recently used
  // With the longest common beginning; the most recently used of equals. nullptr: none has any.
  const Kept* longest(std::span<const Token> tokens) const;
  // Takes it out. It is there.
  Kept take(SequenceId id);
  void used(SequenceId id);  // it is the most recently used now
  void clear();

  const std::list<Kept>& all() const { return kept_; }  // the most recently used first

  std::size_t size() const { return kept_.size(); }
  std::uint64_t cells() const { return cells_; }

 private:
  std::list<Kept>::iterator find(SequenceId id);

  std::list<Kept> kept_;  // at most sequences_max
  std::uint64_t cells_ = 0;
};

}  // namespace shoal::sched
