#include "sched/spreading.h"

#include <algorithm>
#include <utility>

namespace shoal::sched {
namespace {

double as_us(Duration duration) {
  return static_cast<double>(duration.count());
}

std::string seconds_text(double us) {
  return fmt::format("{:.1f} s", us / 1e6);
}

bool has_plan(const Lane& lane) {
  return lane.state() != PlanState::kNone;
}

}  // namespace

std::vector<Outlook> Spreading::outlooks(Time now) const {
  std::vector<Outlook> all;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = *lanes_[i];
    Outlook outlook;
    outlook.serves = lane.state() == PlanState::kServing;
    if (lane.state() == PlanState::kLoading) {
      const Duration left = std::max(load_took_ - (now - ways_[i].loading_since), load_took_ / 4);
      outlook.ready_us = as_us(left + lane.refill_time());
    }
    outlook.streams = lane.sequences().live().size();
    outlook.waiting = lane.sequences().waiting().size();
    outlook.prompt_rows = lane.prompt_rows();
    outlook.token_us = lane.token_us(outlook.streams);
    outlook.token_more_us = lane.token_us(outlook.streams + 1);
    outlook.token_less_us = lane.token_us(std::max<std::size_t>(outlook.streams, 1) - 1);
    outlook.prompt_row_us = lane.prompt_row_us();
    outlook.share = lane.placement().share();
    all.push_back(outlook);
  }
  fill_in(all);
  return all;
}

std::size_t Spreading::lane_for(const SequenceArrived& event, Time now) const {
  const auto rank = [](const Lane& lane) { return has_plan(lane) ? 2 : lane.placement().size() > 0 ? 1 : 0; };
  const std::vector<Outlook> all = outlooks(now);
  const double tokens = length_.of_new(event.tokens_max);
  std::size_t best = 0;
  double best_us = 0;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const auto rows = static_cast<double>(event.prompt.size() - lanes_[i]->beginning(event.prompt));
    const double us = done_us(all[i], rows, tokens);
    const int better = rank(*lanes_[i]) - rank(*lanes_[best]);
    if (i > 0 && (better < 0 || (better == 0 && us >= best_us))) continue;
    best = i;
    best_us = us;
  }
  return best;
}

bool Spreading::keeps_its_bits(const Sequence& sequence, std::size_t from, std::size_t to) const {
  if (sequence.emitted() == 0 || limits_.settings.exact == ExactMode::kOff) return true;
  if (lanes_[from]->placement().kernel_family() == lanes_[to]->placement().kernel_family()) return true;
  return limits_.settings.exact == ExactMode::kAuto && !has_plan(*lanes_[from]) && now_ >= gives_up_bits_at(from);
}

Time Spreading::gives_up_bits_at(std::size_t lane) const {
  return lanes_[lane]->none_since() + std::min<Duration>(kDissolveAfter, limits_.plan_wait_max / 2);
}

// `now_only`: lanes that serve and have room. nullopt: nobody can take it.
std::optional<Spreading::Target> Spreading::best_for(const Sequence& sequence, std::size_t from,
                                                     std::span<const Outlook> all, bool now_only) const {
  std::optional<Target> best;
  double best_us = 0;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (i == from || !has_plan(*lanes_[i]) || !keeps_its_bits(sequence, from, i)) continue;
    if (now_only && (!all[i].serves || !lanes_[i]->has_room(sequence))) continue;
    const Target target{i, static_cast<double>(sequence.tokens.size() - lanes_[i]->beginning(sequence.tokens)),
                        length_.rest(sequence.emitted(), sequence.tokens_max)};
    const double us = done_us(all[i], target.rows, target.tokens);
    if (best && us >= best_us) continue;
    best = target;
    best_us = us;
  }
  return best;
}

void Spreading::note(const SequenceMoved& move) {
  ++moved_;
  decisions_.push_back(
      fmt::format("request {} went from pipeline {} to {}: {}", move.request, move.from + 1, move.to + 1, move.why));
  if (decisions_.size() > kDecisionsMax) decisions_.pop_front();
}

// Of a sequence of which nothing is under way.
void Spreading::move(SequenceMoved move, std::vector<Action>& actions) {
  lanes_[move.to]->take(lanes_[move.from]->give(move.request));
  note(move);
  actions.emplace_back(std::move(move));
}

void Spreading::act(Time now, std::vector<Action>& actions) {
  now_ = now;
  watch_states(now);
  receive_those_given_up(now);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i]->state() != PlanState::kServing && lanes_[i]->sequences().oldest()) {
      leave_broken_lane(i, now, actions);
    }
  }
  share_out_waiting(now, actions);
  if (now >= looked_at_ + kLookEvery) look_for_quicker(now);
}

void Spreading::watch_states(Time now) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const PlanState state = lanes_[i]->state();
    const PlanState before = std::exchange(ways_[i].seen, state);
    if (state == before) continue;
    if (state == PlanState::kLoading) ways_[i].loading_since = now;
    if (state == PlanState::kServing && before == PlanState::kLoading) load_took_ = now - ways_[i].loading_since;
  }
}

bool Spreading::receive_those_given_up(Time now) {
  bool any = false;
  for (const auto& lane : lanes_) {
    auto given_up = lane->given_up();
    if (!given_up) continue;
    any = true;
    ++given_up->sequence.moves;
    given_up->sequence.moved_at = now;
    note(given_up->move);
    lanes_[given_up->move.to]->take(std::move(given_up->sequence));
  }
  return any;
}

void Spreading::leave_broken_lane(std::size_t from, Time now, std::vector<Action>& actions) {
  const bool loads = lanes_[from]->state() == PlanState::kLoading;
  std::vector<std::uint64_t> requests;
  for (const auto& [arrival, sequence] : lanes_[from]->sequences().live()) requests.push_back(sequence->request);
  for (const auto& [arrival, sequence] : lanes_[from]->sequences().waiting()) requests.push_back(sequence->request);
  for (const std::uint64_t request : requests) {
    const auto all = outlooks(now);
    const auto target = best_for(*lanes_[from]->find(request), from, all, loads);
    if (!target) continue;
    const double there_us = done_us(all[target->lane], target->rows, 1);
    if (loads && there_us >= all[from].ready_us) continue;
    move({request, static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(target->lane),
          loads ? fmt::format("there it goes on in {}, here in {}", seconds_text(there_us),
                              seconds_text(all[from].ready_us))
                : "there is no plan here any more"},
         actions);
  }
}

// First come, first served; the lanes have not admitted what they got before in this round.
void Spreading::share_out_waiting(Time now, std::vector<Action>& actions) {
  for (std::size_t from = 0; from < lanes_.size(); ++from) {
    const Sequence* first = lanes_[from]->sequences().next_waiting();
    if (lanes_[from]->state() != PlanState::kServing || first == nullptr) continue;
    if (lanes_[from]->has_place(*first)) continue;
    const auto target = best_for(*first, from, outlooks(now), true);
    if (!target) continue;
    move({first->request, static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(target->lane),
          "it waited for a place here"},
         actions);
  }
}

void Spreading::look_for_quicker(Time now) {
  looked_at_ = now;
  const Sequence* best = nullptr;
  std::size_t best_from = 0;
  std::size_t best_to = 0;
  MoveValue best_value;
  const std::vector<Outlook> all = outlooks(now);
  for (std::size_t from = 0; from < lanes_.size(); ++from) {
    if (!all[from].serves || lanes_[from]->leaving() != 0) continue;
    for (const auto& [arrival, sequence] : lanes_[from]->sequences().live()) {
      if (now < may_move_again(sequence->moved_at, sequence->moves)) continue;
      if (sequence->prefilling || sequence->refilling) continue;
      const auto target = best_for(*sequence, from, all, true);
      if (!target) continue;
      const MoveValue value = move_value(all[from], all[target->lane], {target->rows, target->tokens});
      if (!value.pays() || (best && value.gain_us() <= best_value.gain_us())) continue;
      best = sequence;
      best_from = from;
      best_to = target->lane;
      best_value = value;
    }
  }
  if (best == nullptr) return;
  // It stays where it is, if things have changed until it may go.
  SequenceMoved leave{
      best->request, static_cast<std::uint32_t>(best_from), static_cast<std::uint32_t>(best_to),
      fmt::format("it saves {} and costs {}", seconds_text(best_value.saved_us), seconds_text(best_value.cost_us))};
  lanes_[best_from]->let_go(std::move(leave), [this, best_from, best_to](const Sequence& sequence) {
    return lanes_[best_to]->state() == PlanState::kServing && lanes_[best_to]->has_room(sequence) &&
           keeps_its_bits(sequence, best_from, best_to);
  });
}

std::optional<Time> Spreading::next_due() const {
  std::size_t with_plan = 0;
  bool any = false;
  std::optional<Time> due;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const bool asked = lanes_[i]->sequences().oldest() != nullptr;
    with_plan += has_plan(*lanes_[i]);
    any = any || asked;
    if (!asked || has_plan(*lanes_[i])) continue;
    if (const Time at = gives_up_bits_at(i); at > now_) due = due ? std::min(*due, at) : at;
  }
  if (!any || with_plan < 2) return due;
  const Time look = looked_at_ + kLookEvery;
  return due ? std::min(*due, look) : look;
}

}  // namespace shoal::sched
