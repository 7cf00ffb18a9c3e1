#include "sim/world.h"

#include <algorithm>

namespace shoal::sim {

using namespace sched;
using std::chrono::seconds;

World::World(const Options& options)
    : options_(options),
      random_(options.seed),
      vocabulary_(options.vocabulary ? options.vocabulary
                                     : static_cast<std::uint32_t>(chance(50) ? between(1, 4) : 32000)),
      limits_(draw_limits()),
      model_(draw_model()),
      scheduler_(model_, limits_),
      checker_(model_.layer_count, limits_, vocabulary_) {
  link_delay_ = Duration(between(100, 8000));
  link_jitter_ = Duration(between(0, 6000));
  right_drafts_percent_ = between(0, 100);
  draft_model_ends_ = Time(chance(20) ? seconds(between(5, 40)) : seconds(1'000'000));
}

void World::send(std::size_t from, std::size_t to, std::function<void()> deliver) {
  if (!alive(from) || !alive(to)) return;
  if (from == kCoordinator && phones_[to - 1].joined_life != life_of(to)) return;  // by a link that is dead already
  Time& free = link_free_[{from, to}];
  free = std::max(free, queue_.now() + link_delay_ + Duration(random_.below(link_jitter_.count() + 1)));
  queue_.at(free, [this, from, to, a = life_of(from), b = life_of(to), deliver = std::move(deliver)] {
    if (life_of(from) == a && life_of(to) == b) deliver();
  });
}

Report World::run() {
  draw_phones();
  draw_users();
  draw_faults();
  const Time end(options_.healed_by);
  while (queue_.now() < end && checker_.violations().empty()) {
    // What the last plan left is dropped a while after it came.
    const bool idle = users_done_ && checker_.requests_open() == 0 && queue_.now() > published_ + seconds(1);
    if (idle && scheduler_.snapshot().steps_in_flight == 0 && scheduler_.snapshot().state == PlanState::kServing) break;
    queue_.step(end);
  }
  if (checker_.violations().empty()) {
    checker_.all_done(scheduler_.snapshot());
    for (const Phone& phone : phones_) {
      for (const auto& [id, stage] : phone.stages) {
        if (stage.fake.sequences() > checker_.sequences_kept()) {
          checker_.violation(fmt::format("{} still holds KV", phone.profile.name));
        }
      }
    }
  }
  report_.log_hash = log_hash_;
  report_.violations = checker_.violations();
  report_.tokens = checker_.tokens();
  report_.requests = checker_.requests();
  report_.answers = checker_.answers();
  report_.drafts_sent = scheduler_.snapshot().drafts_sent;
  report_.drafts_accepted = scheduler_.snapshot().drafts_accepted;
  report_.model_drafts_sent = scheduler_.snapshot().model_drafts_sent;
  report_.model_drafts_accepted = scheduler_.snapshot().model_drafts_accepted;
  report_.cached_tokens = scheduler_.snapshot().cached_tokens;
  report_.moves = scheduler_.snapshot().moves;
  report_.sequences_resumed = scheduler_.snapshot().sequences_resumed;
  report_.sequences_restarted = scheduler_.snapshot().sequences_restarted;
  report_.errors = checker_.errors();
  report_.simulated = queue_.now().time_since_epoch();
  return report_;
}

}  // namespace shoal::sim
