#include "sched/sequences.h"

#include <algorithm>

namespace shoal::sched {

Result<Sequence*> Sequences::add(const SequenceArrived& event, Time now) {
  if (event.request == 0 || table_.contains(event.request)) return nullptr;
  const std::size_t context = std::min(limits_.settings.context_tokens_max, limits_.settings.kv_tokens_total);
  const auto invalid = [](std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; };
  if (event.prompt.empty()) return invalid("the prompt has 0 tokens; it needs at least 1");
  if (event.prompt.size() >= context) {
    return invalid(
        fmt::format("the prompt has {} tokens and the context holds {}, answer included; shorten the prompt "
                    "or raise --context",
                    event.prompt.size(), context));
  }
  if (event.tokens_max == 0) return invalid("the answer may have 0 tokens; ask for at least 1");
  if (event.logits_wanted == 0) return invalid("no logits are wanted; an answer needs the best 1 at least");

  Sequence& sequence = table_[event.request];
  sequence.request = event.request;
  sequence.arrival = ++numbers_.arrivals;
  sequence.arrived = now;
  sequence.prompt_tokens = static_cast<std::uint32_t>(event.prompt.size());
  sequence.tokens_max = std::min(event.tokens_max, static_cast<std::uint32_t>(context) - sequence.prompt_tokens);
  sequence.cells_reserved = sequence.prompt_tokens + sequence.tokens_max;
  sequence.logits_wanted = event.logits_wanted;
  sequence.tokens.reserve(std::min<std::size_t>(sequence.cells_reserved, event.prompt.size() + 64));
  sequence.tokens = event.prompt;
  waiting_.emplace(sequence.arrival, &sequence);
  return &sequence;
}

Sequence* Sequences::find(std::uint64_t request) {
  const auto found = table_.find(request);
  return found == table_.end() ? nullptr : &found->second;
}

Sequence* Sequences::next_waiting() const {
  return waiting_.empty() ? nullptr : waiting_.begin()->second;
}

bool Sequences::fits(const Sequence& sequence, std::size_t others, std::uint64_t their_cells) const {
  return live_.size() + others < limits_.settings.sequences_max &&
         cells_reserved_ + their_cells + sequence.cells_reserved <= limits_.settings.kv_tokens_total;
}

void Sequences::admit(Sequence& sequence) {
  waiting_.erase(sequence.arrival);
  live_.emplace(sequence.arrival, &sequence);
  sequence.live = true;
  cells_reserved_ += sequence.cells_reserved;
}

void Sequences::remove(Sequence& sequence) {
  if (sequence.live) {
    live_.erase(sequence.arrival);
    cells_reserved_ -= sequence.cells_reserved;
  } else {
    waiting_.erase(sequence.arrival);
  }
  table_.erase(sequence.request);
}

Sequence* Sequences::oldest() const {
  if (live_.empty()) return next_waiting();
  if (waiting_.empty()) return live_.begin()->second;
  return std::min(*live_.begin(), *waiting_.begin()).second;
}

Sequence Sequences::copy_of(const Sequence& sequence) {
  Sequence copy;
  copy.request = sequence.request;
  copy.arrival = sequence.arrival;
  copy.arrived = sequence.arrived;
  copy.tokens = sequence.tokens;
  copy.prompt_tokens = sequence.prompt_tokens;
  copy.tokens_max = sequence.tokens_max;
  copy.logits_wanted = sequence.logits_wanted;
  copy.cells_reserved = sequence.prompt_tokens + sequence.tokens_max;
  copy.step_failures = sequence.step_failures;
  copy.cached_tokens = sequence.cached_tokens;
  copy.lookup = sequence.lookup;
  copy.acceptance = sequence.acceptance;
  copy.told = sequence.told;
  copy.asked = sequence.asked;
  copy.model_acceptance = sequence.model_acceptance;
  copy.moves = sequence.moves;
  copy.moved_at = sequence.moved_at;
  return copy;
}

void Sequences::put(Sequence sequence) {
  const std::uint64_t request = sequence.request;
  Sequence& there = table_[request] = std::move(sequence);
  waiting_.emplace(there.arrival, &there);
}

}  // namespace shoal::sched
