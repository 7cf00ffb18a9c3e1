#include "sched/refill.h"

#include <algorithm>

namespace shoal::sched {

void Refill::open(const PlannedPlan& plan, const std::set<StageId>& filled, const SequenceOrder& live) {
  close();
  epoch_ = plan.epoch;
  const auto& stages = plan.stages;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (filled.contains(stages[i].stage)) continue;
    const std::size_t first = i;
    while (i + 1 < stages.size() && !filled.contains(stages[i + 1].stage)) ++i;
    const PlannedPlan::Stage& source = stages[first == 0 ? 0 : first - 1];
    runs_.push_back({source.node, source.stage, first == 0, stages[i].stage, {}, 0});
  }
  if (runs_.empty()) return;
  for (const auto& [arrival, sequence] : live) {
    if (!sequence->refilling) continue;
    sequences_[sequence->id] = {sequence, sequence->request, sequence->done, sequence->cells_reserved, runs_.size(), 0,
                                false};
    for (Run& run : runs_) run.waiting.emplace_back(sequence->id, 0);
  }
}

void Refill::close() {
  runs_.clear();
  sequences_.clear();
  under_way_.clear();
}

void Refill::forget_waiting(SequenceId id) {
  for (Run& run : runs_) std::erase_if(run.waiting, [id](const auto& item) { return item.first == id; });
}

bool Refill::remove(const Sequence& sequence) {
  const auto found = sequences_.find(sequence.id);
  if (found == sequences_.end()) return true;
  forget_waiting(sequence.id);
  found->second.sequence = nullptr;
  if (found->second.in_flight > 0) return false;
  sequences_.erase(found);
  return true;
}

Refill::Leaving Refill::leaving() const {
  Leaving leaving;
  for (const auto& [id, entry] : sequences_) {
    if (entry.sequence != nullptr) continue;
    ++leaving.sequences;
    leaving.cells += entry.cells;
  }
  return leaving;
}

Action Refill::chunk(const Run& run, const Entry& entry, SequenceId id, std::uint32_t first, std::uint32_t count,
                     StepId step) const {
  if (!run.tokens) return Replay{epoch_, step, run.node, run.stage, run.ends_at, id, entry.request, first, count};
  SendStep send{epoch_, step, run.node, run.stage, {}, run.ends_at, {}, {}, {}};
  if (first == 0) send.frees.push_back(id);
  for (std::uint32_t i = first; i < first + count; ++i) {
    send.rows.push_back({id, entry.request, i, entry.sequence->tokens[i], 0});
  }
  return send;
}

std::optional<Action> Refill::next(StepId step, std::uint32_t rows_max, Time now) {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    Run& run = runs_[i];
    if (run.waiting.empty() || run.in_flight >= kReplaysInFlightMax) continue;
    auto& [id, next_row] = run.waiting.front();
    Entry& entry = sequences_.at(id);
    const std::uint32_t first = next_row;
    const std::uint32_t count = std::min(rows_max, entry.rows - first);
    const bool last = first + count == entry.rows;
    Action action = chunk(run, entry, id, first, count, step);
    if (under_way_.empty()) last_back_ = now;
    under_way_[step] = {i, id, entry.request, last, now};
    next_row += count;
    ++run.in_flight;
    ++entry.in_flight;
    if (last) run.waiting.pop_front();
    return action;
  }
  return std::nullopt;
}

std::optional<Refill::Change> Refill::back(StepId step, bool missing, Time now) {
  const Chunk chunk = under_way_.at(step);
  under_way_.erase(step);
  last_back_ = now;
  --runs_[chunk.run].in_flight;
  Entry& entry = sequences_.at(chunk.id);
  --entry.in_flight;
  if (missing && !entry.missing) {
    entry.missing = true;
    forget_waiting(chunk.id);
  }
  if (chunk.last && !missing) --entry.runs;
  const bool over = entry.runs == 0 || entry.missing || entry.sequence == nullptr;
  if (!over || entry.in_flight > 0) return std::nullopt;
  using enum Change::Kind;
  const Change change{entry.sequence == nullptr ? kMayBeFreed
                      : entry.missing           ? kStartsAgain
                                                : kRefilled,
                      chunk.id, entry.request};
  sequences_.erase(chunk.id);
  return change;
}

std::optional<Time> Refill::waits_since() const {
  if (under_way_.empty()) return std::nullopt;
  return std::max(under_way_.begin()->second.sent_at, last_back_);
}

}  // namespace shoal::sched
