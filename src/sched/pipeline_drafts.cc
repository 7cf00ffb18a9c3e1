// Pipeline's drafts: which are sent behind decode rows and ahead of them, what a draft model is asked, and what becomes
// of them.
#include <algorithm>
#include <cmath>
#include <utility>

#include "sched/pipeline.h"

namespace shoal::sched {
namespace {

constexpr double kAheadChanceMin = 0.5;        // that rows ahead of what is known are not in vain
constexpr std::size_t kStepsUnaskedMax = 256;  // then a draft model that was too slow is asked again

}  // namespace

void Pipeline::sampled(Sequence& sequence, const std::vector<Token>& tokens) {
  leave(sequence);
  const std::size_t sent = sequence.flights.front().drafts;
  const std::size_t right = tokens.size() - 1;
  const bool ahead = right == sent && sequence.flights.size() > 1;  // the newest token was a draft as well
  const bool ahead_right = ahead && tokens.back() == sequence.drafts[sent];
  const std::size_t tried = sent + (ahead ? 1 : 0);
  const std::size_t accepted = right + (ahead_right ? 1 : 0);
  const bool of_model = sequence.drafts_of_model;
  if (tried > 0 && of_model) {
    sequence.model_acceptance.tried(tried, accepted);
  } else {
    sequence.model_acceptance.not_tried();
  }
  if (tried > 0 && !of_model) {
    sequence.acceptance.tried(tried, accepted);
  } else if (const auto would = sequence.lookup.find(sequence.tokens, 1); !would.empty()) {
    sequence.acceptance.tried(1, would[0] == tokens[0] ? 1 : 0);  // it costs nothing to know
  } else {
    sequence.acceptance.not_tried();
  }
  drafts_accepted_ += accepted;
  if (of_model) model_drafts_accepted_ += accepted;
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
  AskDrafts ask{numbers_.asks + 1, {}};
  std::size_t most = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    Sequence& sequence = *due_[i];
    const std::size_t room = drafts_max(sequence);
    DraftCount by_model = best_draft_count(costs_.trip, &drafting_cost_, sequence.model_acceptance.rate(), rows, room);
    if (by_model.count == 0 && try_again && room > 0) by_model.count = 1;
    if (by_model.count == 0) continue;
    if (!sequence.lookup.find(sequence.tokens, 1).empty() &&
        best_draft_count(costs_.trip, nullptr, sequence.acceptance.rate(), rows, room).speed >= by_model.speed) {
      continue;
    }
    sequence.asked = true;
    ask.texts.push_back({sequence.request,
                         sequence.told,
                         {sequence.tokens.begin() + sequence.told, sequence.tokens.end()},
                         static_cast<std::uint32_t>(by_model.count)});
    sequence.told = static_cast<std::uint32_t>(sequence.tokens.size());
    most = std::max(most, by_model.count);
  }
  if (ask.texts.empty()) return std::nullopt;
  steps_unasked_ = 0;
  ask_open_ = ++numbers_.asks;
  ask_open_count_ = most;
  drafts_awaited_since_ = now;
  return ask;
}

void Pipeline::drafted(const Drafted& event, Sequences& sequences) {
  if (event.ask == 0 || event.ask != ask_open_) return;
  ask_open_ = 0;
  const bool in_time = std::exchange(drafts_awaited_since_, std::nullopt).has_value();
  bool any = false;
  for (const Drafted::Text& text : event.texts) {
    any = any || !text.tokens.empty();
    Sequence* sequence = sequences.find(text.request);
    if (in_time && sequence && sequence->due && sequence->asked) sequence->model_drafts = text.tokens;
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

void Pipeline::append_drafts(Sequence& sequence, std::size_t decode_rows, std::size_t to_come, SendStep& step) {
  const std::size_t room = limits_.rows_per_step_max - step.rows.size() - to_come;
  const std::size_t most = std::min(drafts_max(sequence), room);
  if (most == 0) return;
  sequence.drafts_of_model = !sequence.model_drafts.empty();
  if (sequence.drafts_of_model) {
    sequence.drafts = std::move(sequence.model_drafts);
    sequence.model_drafts.clear();
    if (sequence.drafts.size() > most) sequence.drafts.resize(most);
    model_drafts_sent_ += sequence.drafts.size();
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
  if (decoding_.size() >= stages_.size() || decode_steps_in_flight_ >= stages_.size()) return;
  Sequence* next = nullptr;  // whoever is least ahead
  for (Sequence* sequence : decoding_) {
    if (!next || sequence->flights.size() < next->flights.size()) next = sequence;
  }
  if (next && append_ahead(*next, step) > 0) flight.decodes = true;
}

// How many rows it is; 0 where they would probably be in vain.
std::size_t Pipeline::append_ahead(Sequence& sequence, SendStep& step) {
  const std::size_t before = sequence.drafts.size();
  if (sequence.flights.empty() || sequence.leaving || drafts_left(sequence) <= before) return 0;
  if (before > 0 && sequence.drafts_of_model) return 0;
  const double rate = sequence.acceptance.rate();
  if (std::pow(rate, static_cast<double>(before + 1)) < kAheadChanceMin) return 0;
  const std::size_t most = std::min({std::size_t{limits_.draft_tokens_max}, drafts_left(sequence) - before - 1,
                                     std::size_t{limits_.rows_per_step_max} - 1});
  const std::size_t rows = 1 + best_draft_count(costs_.trip, nullptr, rate, 1, most).count;
  const std::vector<Token> found = sequence.lookup.find(sequence.tokens, before + rows);
  if (found.size() <= before || !std::equal(sequence.drafts.begin(), sequence.drafts.end(), found.begin())) return 0;
  sequence.drafts_of_model = false;
  for (std::size_t i = before; i < found.size(); ++i) {
    step.rows.push_back({sequence.id, sequence.request, sequence.sent++, found[i], sequence.logits_wanted});
    sequence.drafts.push_back(found[i]);
  }
  sequence.kv_rows = sequence.sent;
  sequence.flights.push_back({{numbers_.steps + 1}, rows});
  drafts_sent_ += rows;
  return rows;
}

}  // namespace shoal::sched
