#include "sim/world.h"

#include <algorithm>

#include "sched/grouping.h"

namespace shoal::sim {

using namespace sched;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// The faults form: ten minutes, of which the last are quiet, so that it is seen that the shoal heals. What is not over
// after twenty counts as never ending.
constexpr Duration kFaultsUntil = seconds(500);
constexpr Duration kTwentyMinutes = seconds(1200);
constexpr Duration kWatchInterval = seconds(5);

}  // namespace

World::World(const Options& options)
    : options_(options),
      random_(options.seed),
      vocabulary_(options.vocabulary ? options.vocabulary
                                     : static_cast<std::uint32_t>(chance(50) ? between(1, 4) : 32000)),
      limits_(draw_limits()),
      model_(draw_model()),
      faults_until_(options.faults_until > Duration::zero() ? options.faults_until
                    : options.all_faults                    ? kFaultsUntil
                                                            : seconds(40)),
      scheduler_(std::in_place, model_, limits_),
      checker_(model_.layer_count, limits_, vocabulary_),
      lanes_(limits_.replicas),
      network_(queue_, random_, [this](LinkId link, std::size_t end) { link_closed(link, end); }) {
  link_delay_ = Duration(between(100, 8000));
  link_jitter_ = Duration(between(0, 6000));
  right_drafts_percent_ = between(0, 100);
  draft_model_ends_ = Time(chance(20) ? seconds(between(5, 40)) : seconds(1'000'000));
}

void World::send(std::size_t from, std::size_t to, std::function<void()> deliver) {
  if (options_.all_faults) return send_by_link(from, to, std::move(deliver));
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
  network_.set_up(phones_.size() + 1, link_delay_, link_jitter_);
  options_.all_faults ? draw_users_of_ten_minutes() : draw_users();
  draw_faults();
  const Time end(options_.all_faults ? kTwentyMinutes : options_.healed_by);
  if (options_.all_faults) watch();
  while (queue_.now() < end && checker_.violations().empty()) {
    if (is_idle()) break;
    queue_.step(end);
  }
  if (checker_.violations().empty()) {
    checker_.all_done(scheduler_->snapshot());
    for (const Phone& phone : phones_) {
      for (const auto& [id, stage] : phone.stages) {
        if (stage.fake.sequences() > checker_.sequences_kept(id)) {
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
  keep_counts();
  report_.errors = checker_.errors();
  report_.errors_no_plan = checker_.errors_no_plan();
  report_.errors_of_steps = checker_.errors_of_steps();
  report_.requests_interrupted = checker_.interrupted();
  report_.loads_in_a_minute_max = checker_.loads_in_a_minute_max();
  report_.epochs_in_a_minute_max = checker_.epochs_in_a_minute_max();
  report_.lanes_max = checker_.lanes_max();
  report_.sequences_moved = checker_.sequences_moved();
  report_.sequences_moved_freely = checker_.sequences_moved_freely();
  report_.moves_of_a_request_max = checker_.moves_of_a_request_max();
  report_.healed_after = std::max(Duration::zero(), checker_.last_change().time_since_epoch() - faults_until_);
  report_.simulated = queue_.now().time_since_epoch();
  return report_;
}

// What the last plan left is dropped a while after it came; with several lanes nodes may be divided anew once nobody
// asks.
bool World::is_idle() const {
  const Duration rest = limits_.replicas > 1 ? kIdleFor + seconds(2) : Duration::zero();
  if (!users_done_ || checker_.requests_open() > 0) return false;
  if (queue_.now() <= published_ + seconds(1) || queue_.now() < busy_ + rest) return false;
  const Snapshot snapshot = scheduler_->snapshot();
  const bool all_serve = std::all_of(snapshot.lanes.begin(), snapshot.lanes.end(), [](const Snapshot& lane) {
    return lane.nodes == 0 || lane.state == PlanState::kServing;
  });
  return snapshot.steps_in_flight == 0 && snapshot.state == PlanState::kServing && all_serve;
}

// What a scheduler has counted, before it ends.
void World::keep_counts() {
  const Snapshot snapshot = scheduler_->snapshot();
  report_.drafts_sent += snapshot.drafts_sent;
  report_.drafts_accepted += snapshot.drafts_accepted;
  report_.model_drafts_sent += snapshot.model_drafts_sent;
  report_.model_drafts_accepted += snapshot.model_drafts_accepted;
  report_.cached_tokens += snapshot.cached_tokens;
  report_.moves += snapshot.moves;
  report_.sequences_resumed += snapshot.sequences_resumed;
  report_.sequences_restarted += snapshot.sequences_restarted;
}

// By when the shoal must be well again, once the faults have stopped: silence shows that a link is dead (3 s); a phone
// dials the coordinator again (10 s, and 1.5 s for an attempt in vain); planning waits for more phones (10 times
// plan_settle); a stage fails to load and is tried again, twice (a load takes 2 s); what was lost on the way is missed
// after step_wait_max, and once more after the stages were loaded anew. A lane without a plan gives its nodes to others
// after kDissolveAfter, where they may wait for a plan again.
Duration World::heal_max() const {
  const Duration of_lanes = limits_.replicas > 1 ? 2 * kDissolveAfter : Duration::zero();
  return milliseconds(3000 + 10000 + 1500) + 10 * limits_.plan_settle + 3 * (seconds(2) + limits_.stage_retry_after) +
         2 * limits_.step_wait_max + of_lanes;
}

// Requests are made to get on even where nothing happens any more that would show that they do not.
void World::watch() {
  checker_.watch(queue_.now());
  queue_.after(kWatchInterval, [this] { watch(); });
}

}  // namespace shoal::sim
