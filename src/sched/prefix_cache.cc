#include "sched/prefix_cache.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace shoal::sched {

std::uint32_t common_beginning(std::span<const Token> a, std::span<const Token> b) {
  const auto differs = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return static_cast<std::uint32_t>(differs - a.begin());
}

void PrefixCache::keep(Kept kept) {
  SHOAL_ASSERT(!kept.tokens.empty() && kept.rows >= kept.tokens.size());
  cells_ += kept.rows;
  kept_.push_front(std::move(kept));
}

const Kept* PrefixCache::longest(std::span<const Token> tokens) const {
  const Kept* best = nullptr;
  std::uint32_t length = 0;
  for (const Kept& kept : kept_) {
    const std::uint32_t common = common_beginning(kept.tokens, tokens);
    if (common <= length) continue;
    length = common;
    best = &kept;
  }
  return best;
}

std::list<Kept>::iterator PrefixCache::find(SequenceId id) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [id](const Kept& kept) { return kept.id == id; });
  SHOAL_ASSERT(found != kept_.end());
  return found;
}

Kept PrefixCache::take(SequenceId id) {
  const auto found = find(id);
  Kept kept = std::move(*found);
  cells_ -= kept.rows;
  kept_.erase(found);
  return kept;
}

void PrefixCache::used(SequenceId id) {
  kept_.splice(kept_.begin(), kept_, find(id));
}

void PrefixCache::clear() {
  kept_.clear();
  cells_ = 0;
}

}  // namespace shoal::sched
