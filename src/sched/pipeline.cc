#include "sched/pipeline.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace shoal::sched {
namespace {

constexpr double kAheadChanceMin = 0.5;        // that rows ahead of what is known are not in vain
constexpr std::size_t kStepsUnaskedMax = 256;  // then a draft model that was too slow is asked again

}  // namespace

void Pipeline::close(const SequenceOrder& live) {
  due_.clear();
  in_flight_.clear();
  frees_.clear();
  for (const Fork& fork : forks_) resident_.erase(fork.sequence);  // they never came to be
  forks_.clear();
  drafts_awaited_since_.reset();
  decoding_.clear();
  sampling_ = decode_steps_in_flight_ = suspect_steps_in_flight_ = 0;
  prefilling_ = live;
  for (const auto& [arrival, sequence] : live) {
    sequence->id = {};
    sequence->sent = 0;
    sequence->prefilling = true;
    sequence->due = false;
    sequence->flights.clear();
    sequence->sampling = false;
    sequence->drafts.clear();
    sequence->kv_rows = 0;
  }
}

void Pipeline::open(const PlannedPlan& plan, bool keeps_kv) {
  epoch_ = plan.epoch;
  first_node_ = plan.stages.front().node;
  first_stage_ = plan.stages.front().stage;
  stages_ = plan.stages.size();
  costs_ = {};
  if (!keeps_kv) resident_.clear();
  frees_.assign(resident_.begin(), resident_.end());
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
  sequence.id = {++sequence_ids_};
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

// Its flights behind the first `kept`, and their drafts: the stages will drop their rows.
void Pipeline::drop_flights(Sequence& sequence, std::size_t kept) {
  if (sequence.flights.size() <= kept) return;
  sequence.flights.resize(kept);
  std::size_t drafts = 0;
  for (const Flight& flight : sequence.flights) drafts += flight.drafts;
  sequence.sent -= static_cast<std::uint32_t>(sequence.drafts.size() - drafts);
  sequence.drafts.resize(drafts);
}

void Pipeline::sampled(Sequence& sequence, const std::vector<Token>& tokens) {
  leave(sequence);
  const std::size_t sent = sequence.flights.front().drafts;
  const std::size_t right = tokens.size() - 1;
  const bool ahead = right == sent && sequence.flights.size() > 1;  // the newest token was guessed as well
  const bool ahead_right = ahead && tokens.back() == sequence.drafts[sent];
  const std::size_t tried = sent + (ahead ? 1 : 0);
  const std::size_t accepted = right + (ahead_right ? 1 : 0);
  const bool guesses = sequence.drafts_are_guesses;
  tried > 0 && !guesses ? sequence.acceptance.tried(tried, accepted) : sequence.acceptance.not_tried();
  tried > 0 && guesses ? sequence.guess_acceptance.tried(tried, accepted) : sequence.guess_acceptance.not_tried();
  drafts_accepted_ += accepted;
  if (guesses) guesses_accepted_ += accepted;
  if (ahead_right) {
    sequence.flights.pop_front();
    --sequence.flights.front().drafts;
    sequence.drafts.erase(sequence.drafts.begin(), sequence.drafts.begin() + static_cast<std::ptrdiff_t>(sent + 1));
    return;
  }
  sequence.sent -= static_cast<std::uint32_t>(sequence.drafts.size() - right);
  sequence.flights.clear();
  sequence.drafts.clear();
}

void Pipeline::token(Sequence& sequence) {
  sequence.asked = false;
  sequence.guesses.clear();
  if (!sequence.flights.empty()) return;
  sequence.due = true;
  due_.push_back(&sequence);
}

void Pipeline::remove(Sequence& sequence) {
  leave(sequence);
  sequence.flights.clear();
  if (sequence.prefilling) {
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
  step = {epoch_, {}, first_node_, first_stage_, {}, {}, {}, {}};
  InFlight flight{now, {}, {}, false, false, 0};
  take_suspect(step, flight);
  if (!flight.suspect) {
    take_decode_rows(step, flight);
    take_prompt_rows(step);
    take_rows_ahead(step, flight);
  }
  // Frees alone are worth a step only when no other will come by to carry them.
  if (step.rows.empty() && (frees_.empty() || !in_flight_.empty())) return false;

  step.step = {++steps_};
  for (const Row& row : step.rows) {
    if (flight.requests.empty() || flight.requests.back() != row.request) flight.requests.push_back(row.request);
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
  take_prompt_of(first, best_chunk(costs_, stages_, first.tokens.size(), 0, !decoding_.empty(), room), step);
}

std::size_t Pipeline::decode_rows_next() const {
  if (due_.empty() || decode_steps_in_flight_ >= stages_) return 0;
  const std::size_t fair = (decoding_.size() + stages_ - 1) / stages_;
  return std::min({fair, due_.size(), std::size_t{limits_.rows_per_step_max}});
}

// The answer's last token needs no row.
std::size_t Pipeline::drafts_left(const Sequence& sequence) {
  return sequence.tokens_max - sequence.emitted() - 1;
}

std::size_t Pipeline::drafts_max(const Sequence& sequence) const {
  return std::min<std::size_t>(limits_.draft_tokens_max, drafts_left(sequence));
}

// Asked for all that travel together, once: who has its drafts does not wait for those that came due meanwhile.
std::optional<AskDrafts> Pipeline::ask_drafts(Time now) {
  if (!limits_.draft_model || ask_open_ != 0 || !may_form() || suspect_goes_next()) return std::nullopt;
  const std::size_t rows = decode_rows_next();
  if (rows == 0) return std::nullopt;
  if (std::any_of(due_.begin(), due_.begin() + rows, [](const Sequence* sequence) { return sequence->asked; })) {
    return std::nullopt;
  }
  const bool try_again = ++steps_unasked_ > kStepsUnaskedMax;
  AskDrafts ask{asks_ + 1, {}};
  std::size_t most = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    Sequence& sequence = *due_[i];
    const std::size_t room = drafts_max(sequence);
    DraftCount guessed = best_draft_count(costs_.trip, &drafting_cost_, sequence.guess_acceptance.rate(), rows, room);
    if (guessed.count == 0 && try_again && room > 0) guessed.count = 1;
    if (guessed.count == 0) continue;
    if (!sequence.lookup.find(sequence.tokens, 1).empty() &&
        best_draft_count(costs_.trip, nullptr, sequence.acceptance.rate(), rows, room).speed >= guessed.speed) {
      continue;
    }
    sequence.asked = true;
    ask.texts.push_back({sequence.request,
                         sequence.told,
                         {sequence.tokens.begin() + sequence.told, sequence.tokens.end()},
                         static_cast<std::uint32_t>(guessed.count)});
    sequence.told = static_cast<std::uint32_t>(sequence.tokens.size());
    most = std::max(most, guessed.count);
  }
  if (ask.texts.empty()) return std::nullopt;
  steps_unasked_ = 0;
  ask_open_ = ++asks_;
  ask_open_count_ = most;
  drafts_awaited_since_ = now;
  return ask;
}

void Pipeline::drafted(const Drafted& event, Sequences& sequences) {
  if (event.ask == 0 || event.ask != ask_open_) return;
  ask_open_ = 0;
  const bool in_time = std::exchange(drafts_awaited_since_, std::nullopt).has_value();
  bool any = false;
  for (const Drafted::Guess& guess : event.guesses) {
    any = any || !guess.tokens.empty();
    Sequence* sequence = sequences.find(guess.request);
    if (in_time && sequence && sequence->due && sequence->asked) sequence->guesses = guess.tokens;
  }
  if (any) drafting_cost_.measured(ask_open_count_, event.took);
}

void Pipeline::give_up_drafts(Time now) {
  const auto deadline = drafts_deadline();
  if (deadline && now >= *deadline) drafts_awaited_since_.reset();
}

std::optional<Time> Pipeline::drafts_deadline() const {
  if (!drafts_awaited_since_) return std::nullopt;
  return *drafts_awaited_since_ + limits_.draft_wait_max;
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

void Pipeline::append_drafts(Sequence& sequence, std::size_t decode_rows, std::size_t to_come, SendStep& step) {
  const std::size_t room = limits_.rows_per_step_max - step.rows.size() - to_come;
  const std::size_t most = std::min(drafts_max(sequence), room);
  if (most == 0) return;
  sequence.drafts_are_guesses = !sequence.guesses.empty();
  if (sequence.drafts_are_guesses) {
    sequence.drafts = std::move(sequence.guesses);
    sequence.guesses.clear();
    if (sequence.drafts.size() > most) sequence.drafts.resize(most);
    guesses_sent_ += sequence.drafts.size();
  } else {
    const DraftCount best = best_draft_count(costs_.trip, nullptr, sequence.acceptance.rate(), decode_rows, most);
    if (best.count == 0) return;
    sequence.drafts = sequence.lookup.find(sequence.tokens, best.count);
  }
  for (const Token draft : sequence.drafts) {
    step.rows.push_back({sequence.id, sequence.request, sequence.sent++, draft, sequence.logits_wanted});
  }
  sequence.kv_rows = sequence.sent;
  sequence.flights.back().drafts = sequence.drafts.size();
  drafts_sent_ += sequence.drafts.size();
}

void Pipeline::take_rows_ahead(SendStep& step, InFlight& flight) {
  if (!step.rows.empty() || limits_.draft_tokens_max == 0 || !due_.empty()) return;
  if (decoding_.size() >= stages_ || decode_steps_in_flight_ >= stages_) return;
  Sequence* next = nullptr;  // whoever is least ahead
  for (Sequence* sequence : decoding_) {
    if (!next || sequence->flights.size() < next->flights.size()) next = sequence;
  }
  if (next && append_ahead(*next, step) > 0) flight.decodes = true;
}

// How many rows it is; 0 where they would probably be in vain.
std::size_t Pipeline::append_ahead(Sequence& sequence, SendStep& step) {
  const std::size_t before = sequence.drafts.size();
  if (sequence.flights.empty() || before == 0 || sequence.drafts_are_guesses || drafts_left(sequence) <= before)
    return 0;
  if (sequence.kv_rows != sequence.sent) return 0;  // what was dropped is still to be truncated
  const double rate = sequence.acceptance.rate();
  if (std::pow(rate, static_cast<double>(before + 1)) < kAheadChanceMin) return 0;
  const std::size_t most = std::min({std::size_t{limits_.draft_tokens_max}, drafts_left(sequence) - before - 1,
                                     std::size_t{limits_.rows_per_step_max} - 1});
  const std::size_t rows = 1 + best_draft_count(costs_.trip, nullptr, rate, 1, most).count;
  const std::vector<Token> found = sequence.lookup.find(sequence.tokens, before + rows);
  if (found.size() <= before || !std::equal(sequence.drafts.begin(), sequence.drafts.end(), found.begin())) return 0;
  for (std::size_t i = before; i < found.size(); ++i) {
    step.rows.push_back({sequence.id, sequence.request, sequence.sent++, found[i], sequence.logits_wanted});
    sequence.drafts.push_back(found[i]);
  }
  sequence.kv_rows = sequence.sent;
  sequence.flights.push_back({{steps_ + 1}, rows});
  drafts_sent_ += rows;
  return rows;
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
      best_chunk(costs_, stages_, prompt_rows(), step.rows.size(), !decoding_.empty(),
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
    sequence.id = {++sequence_ids_};
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
  if (wants_logits) sequence.flights.push_back({{steps_ + 1}, 0});  // the step being formed
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
  for (std::uint64_t request : found->second.requests) {
    Sequence* sequence = sequences.find(request);
    if (!sequence || sequence->flights.empty()) continue;
    if (sequence->flights.front().step == step) {
      sequence->sampling = true;
      ++sampling_;
    } else {
      // What it stands on is not done. Steps do not overtake each other; should one all the same, it was in vain.
      const auto ahead = std::find_if(sequence->flights.begin(), sequence->flights.end(),
                                      [step](const Flight& flight) { return flight.step == step; });
      drop_flights(*sequence, static_cast<std::size_t>(ahead - sequence->flights.begin()));
    }
  }
  for (SequenceId id : found->second.frees) resident_.erase(id);
  decode_steps_in_flight_ -= found->second.decodes;
  suspect_steps_in_flight_ -= found->second.suspect;
  in_flight_.erase(found);
  last_done_ = now;
}

std::optional<Time> Pipeline::deadline() const {
  if (in_flight_.empty()) return std::nullopt;
  return std::max(in_flight_.begin()->second.sent_at, last_done_) + limits_.step_wait_max;
}

}  // namespace shoal::sched
