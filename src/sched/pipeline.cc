#include "sched/pipeline.h"

#include <algorithm>
#include <utility>

namespace shoal::sched {

void Pipeline::close(const SequenceOrder& live) {
  due_.clear();
  in_flight_.clear();
  frees_.clear();
  for (const Fork& fork : forks_) resident_.erase(fork.sequence);  // they never came to be
  forks_.clear();
  drafts_awaited_since_.reset();
  decoding_.clear();
  sampling_ = decode_steps_in_flight_ = suspect_steps_in_flight_ = 0;
  refill_.close();
  prefilling_.clear();
  for (const auto& [arrival, sequence] : live) {
    // The newest token's row is sent again: its logits are wanted. All rows before it have come back, once a token is
    // known; what came back beyond were drafts.
    sequence->done =
        std::min({sequence->done, sequence->sent, static_cast<std::uint32_t>(sequence->tokens.size()) - 1});
    sequence->sent = sequence->done;
    sequence->prefilling = true;
    sequence->refilling = false;
    sequence->due = false;
    sequence->flights.clear();
    sequence->sampling = false;
    sequence->drafts.clear();
  }
}

void Pipeline::start_again(Sequence& sequence) {
  if (sequence.kv_rows > 0) ++sequences_restarted_;
  sequence.id = {};
  sequence.sent = sequence.done = sequence.kv_rows = 0;
}

void Pipeline::open(const PlannedPlan& plan, bool keeps_kv, const SequenceOrder& live) {
  epoch_ = plan.epoch;
  stages_.clear();
  for (const PlannedPlan::Stage& stage : plan.stages) stages_.push_back(stage.stage);
  std::erase_if(filled_,
                [this](StageId stage) { return std::find(stages_.begin(), stages_.end(), stage) == stages_.end(); });
  first_node_ = plan.stages.front().node;
  costs_before_ = known_costs();
  costs_ = {};
  if (!keeps_kv) resident_.clear();
  std::set<SequenceId> useless = resident_;
  for (const auto& [arrival, sequence] : live) {
    if (sequence->done == 0 || filled_.empty()) {
      start_again(*sequence);
      prefilling_.emplace(arrival, sequence);
      continue;
    }
    useless.erase(sequence->id);
    sequence->kv_rows = sequence->cells_reserved;  // as many, perhaps, on some stage: the first step truncates
    sequence->refilling = filled_.size() < stages_.size();
    if (sequence->refilling) continue;
    ++sequences_resumed_;
    prefilling_.emplace(arrival, sequence);
  }
  frees_.assign(useless.begin(), useless.end());
  refill_.open(plan, filled_, live);
  note_filled();
}

void Pipeline::add(Sequence& sequence) {
  prefilling_.emplace(sequence.arrival, &sequence);
}

void Pipeline::take_over(Sequence& sequence, const Kept& kept, std::uint32_t length) {
  sequence.id = kept.id;
  sequence.sent = length;
  sequence.kv_rows = kept.rows;
}

void Pipeline::fork(Sequence& sequence, SequenceId from, std::uint32_t length) {
  sequence.id = {++numbers_.sequences};
  resident_.insert(sequence.id);
  sequence.sent = sequence.kv_rows = length;
  forks_.push_back({from, sequence.id, length});
}

bool Pipeline::is_forked(SequenceId from) const {
  return std::any_of(forks_.begin(), forks_.end(), [from](const Fork& fork) { return fork.from == from; });
}

void Pipeline::leave(Sequence& sequence) {
  if (sequence.sampling) --sampling_;
  sequence.sampling = false;
}

void Pipeline::token(Sequence& sequence) {
  sequence.asked = false;
  sequence.model_drafts.clear();
  if (!sequence.flights.empty()) return;
  sequence.due = true;
  due_.push_back(&sequence);
}

void Pipeline::remove(Sequence& sequence) {
  leave(sequence);
  sequence.flights.clear();
  if (sequence.refilling) {
    if (refill_.remove(sequence)) free(sequence.id);
    note_filled();
  } else if (sequence.prefilling) {
    prefilling_.erase(sequence.arrival);
  } else {
    std::erase(decoding_, &sequence);
  }
  if (sequence.due) due_.erase(std::find(due_.begin(), due_.end(), &sequence));
}

void Pipeline::free(SequenceId id) {
  if (std::erase_if(forks_, [id](const Fork& fork) { return fork.sequence == id; }) > 0) {
    resident_.erase(id);  // it never came to be
  } else {
    frees_.push_back(id);
  }
}

bool Pipeline::form(Time now, SendStep& step) {
  if (!may_form()) return false;
  step = {epoch_, {}, first_node_, stages_.front(), {}, {}, {}, {}, {}};
  InFlight flight{now, {}, {}, false, false, 0};
  take_suspect(step, flight);
  if (!flight.suspect) {
    take_decode_rows(step, flight);
    take_prompt_rows(step);
    take_rows_ahead(step, flight);
  }
  // Frees alone are worth a step only when no other will come by to carry them.
  if (step.rows.empty() && (frees_.empty() || !in_flight_.empty())) return false;

  step.step = {++numbers_.steps};
  for (const Row& row : step.rows) {
    if (flight.parts.empty() || flight.parts.back().request != row.request) flight.parts.push_back({row.request, 0});
    flight.parts.back().rows_end = row.position + 1;
  }
  flight.rows = step.rows.size();
  step.frees.swap(frees_);
  step.forks.swap(forks_);
  flight.frees = step.frees;
  decode_steps_in_flight_ += flight.decodes;
  suspect_steps_in_flight_ += flight.suspect;
  in_flight_.emplace(step.step, std::move(flight));
  return true;
}

// A sequence that was in a failed step goes alone, one such step at a time, and before the others: else steps that are
// never empty of decode rows would keep it waiting for ever.
bool Pipeline::suspect_goes_next() const {
  return !prefilling_.empty() && suspect_steps_in_flight_ == 0 && prefilling_.begin()->second->step_failures > 0;
}

void Pipeline::take_suspect(SendStep& step, InFlight& flight) {
  if (!suspect_goes_next()) return;
  Sequence& first = *prefilling_.begin()->second;
  flight.suspect = true;
  const std::size_t room = std::min(limits_.prompt_rows_per_step_max, limits_.rows_per_step_max);
  take_prompt_of(first, best_chunk(costs_, stages_.size(), first.tokens.size(), 0, !decoding_.empty(), room), step);
}

std::size_t Pipeline::decode_rows_next() const {
  if (due_.empty() || decode_steps_in_flight_ >= stages_.size()) return 0;
  const std::size_t fair = (decoding_.size() + stages_.size() - 1) / stages_.size();
  return std::min({fair, due_.size(), std::size_t{limits_.rows_per_step_max}});
}

void Pipeline::take_decode_rows(SendStep& step, InFlight& flight) {
  const std::size_t rows = decode_rows_next();
  if (rows == 0) return;
  step.rows.reserve(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    Sequence& sequence = *due_.front();
    due_.pop_front();
    sequence.due = false;
    append_row(sequence, true, step);
    append_drafts(sequence, rows, rows - 1 - i, step);
  }
  flight.decodes = true;
}

// More than `kFarAhead` make no difference to the next step.
std::size_t Pipeline::prompt_rows() const {
  constexpr std::size_t kFarAhead = 4096;
  std::size_t rows = 0;
  for (auto next = prefilling_.begin(); next != prefilling_.end() && rows < kFarAhead; ++next) {
    const Sequence& sequence = *next->second;
    if (sequence.step_failures == 0) rows += sequence.tokens.size();
  }
  return rows;
}

void Pipeline::take_prompt_rows(SendStep& step) {
  if (prefilling_.empty()) return;
  std::size_t room =
      best_chunk(costs_, stages_.size(), prompt_rows(), step.rows.size(), !decoding_.empty(),
                 std::min<std::size_t>(limits_.prompt_rows_per_step_max, limits_.rows_per_step_max - step.rows.size()));
  for (auto next = prefilling_.begin(); next != prefilling_.end() && room > 0;) {
    Sequence& sequence = *next++->second;
    if (sequence.step_failures > 0) continue;
    const std::size_t before = step.rows.size();
    take_prompt_of(sequence, room, step);
    room -= step.rows.size() - before;
  }
}

void Pipeline::take_prompt_of(Sequence& sequence, std::size_t rows_max, SendStep& step) {
  if (!sequence.id) {
    sequence.id = {++numbers_.sequences};
    resident_.insert(sequence.id);
  }
  const std::size_t rows = std::min(rows_max, sequence.tokens.size() - sequence.sent);
  for (std::size_t i = 0; i < rows; ++i) append_row(sequence, sequence.sent + 1 == sequence.tokens.size(), step);
  if (sequence.sent < sequence.tokens.size()) return;
  sequence.prefilling = false;
  prefilling_.erase(sequence.arrival);
  decoding_.push_back(&sequence);
}

void Pipeline::append_row(Sequence& sequence, bool wants_logits, SendStep& step) {
  if (wants_logits) sequence.flights.push_back({{numbers_.steps + 1}, 0});  // the step being formed
  if (sequence.kv_rows > sequence.sent) step.truncations.push_back({sequence.id, sequence.sent});
  step.rows.push_back({sequence.id, sequence.request, sequence.sent, sequence.tokens[sequence.sent],
                       wants_logits ? sequence.logits_wanted : 0});
  sequence.kv_rows = ++sequence.sent;
}

void Pipeline::done(const StepDone& event, Sequences& sequences, Time now) {
  const StepId step = event.step;
  const auto found = in_flight_.find(step);
  if (const std::size_t rows = found->second.rows; rows > 0) {
    costs_.trip.measured(rows, event.busy > Duration::zero() ? event.busy : now - found->second.sent_at);
    if (event.slowest_stage > Duration::zero()) costs_.stage.measured(rows, event.slowest_stage);
    if (event.link > Duration::zero()) costs_.link.measured(rows, event.link);
  }
  for (const Part& part : found->second.parts) {
    Sequence* sequence = sequences.find(part.request);
    if (!sequence) continue;
    sequence->done = part.rows_end;
    if (sequence->flights.empty() || sequence->flights.front().step != step) continue;
    sequence->sampling = true;
    ++sampling_;
  }
  for (SequenceId id : found->second.frees) resident_.erase(id);
  decode_steps_in_flight_ -= found->second.decodes;
  suspect_steps_in_flight_ -= found->second.suspect;
  in_flight_.erase(found);
  last_done_ = now;
}

std::vector<std::uint64_t> Pipeline::requests_of(StepId step) const {
  if (refill_.under_way(step)) return {refill_.request_of(step)};
  std::vector<std::uint64_t> requests;
  for (const Part& part : in_flight_.at(step).parts) requests.push_back(part.request);
  return requests;
}

// As many micro-batches as there are stages follow each other; each comes round when it is through the pipe, and not
// before the slowest stage is through with all of them.
double Pipeline::token_us(std::size_t streams) const {
  const std::size_t batches = std::clamp<std::size_t>(streams, 1, std::max<std::size_t>(stages_.size(), 1));
  const std::size_t rows = (std::max<std::size_t>(streams, 1) + batches - 1) / batches;
  const StepCosts& costs = known_costs();
  return std::max(costs.trip.microseconds(rows),
                  static_cast<double>(batches) * costs.stage.microseconds(static_cast<double>(rows)));
}

double Pipeline::prompt_row_us() const {
  constexpr double kChunk = 32;
  const StepCosts& costs = known_costs();
  const double stage = costs.stage.microseconds(kChunk);
  const auto stages = static_cast<double>(std::max<std::size_t>(stages_.size(), 1));
  return (stage > 0 ? stage : costs.trip.line.microseconds(kChunk) / stages) / kChunk;
}

Duration Pipeline::refill_time(const SequenceOrder& live) const {
  double rows = 0;
  for (const auto& [arrival, sequence] : live) rows += sequence->done;
  return Duration(static_cast<Duration::rep>(rows * costs_.stage.per_row()));
}

std::optional<Action> Pipeline::refill(Time now) {
  auto action = refill_.next({numbers_.steps + 1}, limits_.rows_per_step_max, now);
  if (action) ++numbers_.steps;
  return action;
}

void Pipeline::refilled(StepId step, bool missing, Sequences& sequences, Time now) {
  const auto change = refill_.back(step, missing, now);
  if (!change) return;
  using enum Refill::Change::Kind;
  if (change->kind != kRefilled) free(change->id);
  if (change->kind != kMayBeFreed) {
    Sequence& sequence = *sequences.find(change->request);
    sequence.refilling = false;
    if (change->kind == kStartsAgain) {
      start_again(sequence);
    } else {
      ++sequences_resumed_;
    }
    prefilling_.emplace(sequence.arrival, &sequence);
  }
  note_filled();
}

// Once nobody is refilled any more, all stages have what any of them has.
void Pipeline::note_filled() {
  if (refill_.idle()) filled_.insert(stages_.begin(), stages_.end());
}

std::optional<Pipeline::Deadline> Pipeline::deadline() const {
  std::optional<Deadline> first;
  const auto consider = [&](Time since, StepId step) {
    const Time at = since + limits_.step_wait_max;
    if (!first || at < first->at) first = {at, step};
  };
  if (!in_flight_.empty()) consider(std::max(in_flight_.begin()->second.sent_at, last_done_), oldest_step());
  if (const auto since = refill_.waits_since()) consider(*since, refill_.oldest_step());
  return first;
}

}  // namespace shoal::sched
