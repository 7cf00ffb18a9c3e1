#include "sched/drafting.h"

#include <algorithm>

namespace shoal::sched {
namespace {

constexpr std::size_t kGrams[] = {3, 2};  // the longer one is surer
constexpr double kRateLearned = 0.2;
constexpr double kRateDrift = 0.01;

std::uint64_t hash_of(const std::vector<Token>& tokens, std::size_t end, std::size_t n) {
  std::uint64_t hash = n * 0xd6e8feb86659fd93u;  // never 0, which stays 0 with token 0
  for (std::size_t i = end - n; i < end; ++i) {
    hash = (hash ^ static_cast<std::uint32_t>(tokens[i])) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

void NgramLookup::learn(const std::vector<Token>& tokens) {
  for (; learned_ < tokens.size(); ++learned_) {
    for (const std::size_t n : kGrams) {
      if (learned_ >= n) next_[hash_of(tokens, learned_, n)] = static_cast<std::uint32_t>(learned_);
    }
  }
}

std::vector<Token> NgramLookup::find(const std::vector<Token>& tokens, std::size_t count) {
  learn(tokens);
  std::vector<Token> drafts;
  for (const std::size_t n : kGrams) {
    if (tokens.size() < n) continue;
    const auto found = next_.find(hash_of(tokens, tokens.size(), n));
    if (found == next_.end()) continue;
    const std::size_t at = found->second;
    const auto same = [&](std::size_t i) { return tokens[at - i] == tokens[tokens.size() - i]; };
    bool really = true;  // hashes may collide
    for (std::size_t i = 1; i <= n; ++i) really = really && same(i);
    if (!really) continue;
    for (std::size_t i = at; drafts.size() < count; ++i) {
      drafts.push_back(i < tokens.size() ? tokens[i] : drafts[i - tokens.size()]);
    }
    break;
  }
  return drafts;
}

void Acceptance::tried(std::size_t drafts, std::size_t accepted) {
  const std::size_t seen = std::min(drafts, accepted + 1);  // those behind the first that was wrong tell nothing
  if (seen == 0) return;
  const double share = static_cast<double>(accepted) / static_cast<double>(seen);
  rate_ += kRateLearned * (share - rate_);
}

void Acceptance::not_tried() {
  rate_ += kRateDrift * (first_ - rate_);
}

DraftCount best_draft_count(const RowCosts& trip, const CostLine* drafting, double acceptance, std::size_t decode_rows,
                            std::size_t drafts_max) {
  const auto others = static_cast<double>(std::max<std::size_t>(decode_rows, 1)) - 1;
  double tokens = 1;   // expected of this sequence
  double reached = 1;  // that the next draft is looked at
  DraftCount best;
  for (std::size_t count = 0; count <= drafts_max; ++count) {
    if (count > 0) {
      reached *= acceptance;
      tokens += reached;
    }
    double time = trip.microseconds(std::max<std::size_t>(decode_rows, 1) + count);
    if (time <= 0) time = 1 + kRowShareUnknown * (others + static_cast<double>(count));
    if (drafting && count > 0) time += drafting->microseconds(static_cast<double>(count));
    const double speed = (others + tokens) / time;
    if (speed > best.speed * (1 + 1e-9)) best = {count, speed};
  }
  return best;
}

}  // namespace shoal::sched
