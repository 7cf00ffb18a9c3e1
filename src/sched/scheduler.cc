#include "sched/scheduler.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "sched/grouping.h"
#include "sched/lane.h"
#include "sched/numbers.h"
#include "sched/spreading.h"

namespace shoal::sched {
namespace {

Lanes make_lanes(const plan::ModelShape& model, Limits limits, Numbers& numbers) {
  Lanes lanes;
  const std::size_t count = std::max<std::size_t>(limits.replicas, 1);
  if (count > 1) {  // Grouping waits for nodes, and keeps spare ones
    limits.nodes_min = 1;
    limits.plan_settle = Duration::zero();
    limits.spares = 0;
  }
  for (std::size_t i = 0; i < count; ++i) {
    lanes.push_back(std::make_unique<Lane>(model, limits, static_cast<std::uint32_t>(i), numbers));
  }
  return lanes;
}

void add(Snapshot& sum, const Snapshot& lane) {
  sum.moves += lane.moves;
  sum.sequences_live += lane.sequences_live;
  sum.sequences_waiting += lane.sequences_waiting;
  sum.steps_in_flight += lane.steps_in_flight;
  sum.kv_tokens_reserved += lane.kv_tokens_reserved;
  sum.drafts_sent += lane.drafts_sent;
  sum.drafts_accepted += lane.drafts_accepted;
  sum.model_drafts_sent += lane.model_drafts_sent;
  sum.model_drafts_accepted += lane.model_drafts_accepted;
  sum.cached_tokens += lane.cached_tokens;
  sum.sequences_refilling += lane.sequences_refilling;
  sum.sequences_resumed += lane.sequences_resumed;
  sum.sequences_restarted += lane.sequences_restarted;
  sum.nodes += lane.nodes;
}

// What is best of all lanes stands for all of them.
void add_words(Snapshot& sum, const Snapshot& lane) {
  if (lane.state > sum.state) sum.state = lane.state;
  if (!sum.plan && lane.plan) sum.plan = lane.plan;
  if (sum.why_none.empty()) sum.why_none = lane.why_none;
  if (sum.move.empty()) sum.move = lane.move;
  if (sum.why_not_moved.empty()) sum.why_not_moved = lane.why_not_moved;
}

}  // namespace

struct Scheduler::State {
  State(plan::ModelShape shape, const Limits& wanted)
      : model(std::move(shape)),
        limits(wanted),
        lanes(make_lanes(model, limits, numbers)),
        grouping(model, limits, lanes),
        spreading(limits, lanes) {}

  void route(const Event& event, Time now);
  void to_all(const Event& event, Time now);
  void gather(std::vector<Action> of_lane);
  void set_timer();
  std::size_t waiting() const;

  const plan::ModelShape model;
  const Limits limits;
  Numbers numbers;
  Lanes lanes;
  Grouping grouping;
  Spreading spreading;
  std::vector<Action> actions;  // of the event at hand
  std::optional<Time> timer;    // as set
};

// Nodes that are in no lane, and new sequences; all else is for the lane that knows it.
void Scheduler::State::route(const Event& event, Time now) {
  const auto is_pooled = [&](const auto& known) {
    using Kind = std::decay_t<decltype(known)>;
    if constexpr (std::is_same_v<Kind, NodeJoined>) return grouping.take(known, now);
    if constexpr (std::is_same_v<Kind, NodeLost> || std::is_same_v<Kind, NodePaused> ||
                  std::is_same_v<Kind, NodeShare>) {
      return grouping.take(known);
    }
    return false;
  };
  if (std::visit(is_pooled, event)) return;
  if (const auto* joined = std::get_if<NodeJoined>(&event)) {
    for (const auto& lane : lanes) {
      if (lane->placement().has(joined->profile.node)) return gather(lane->on(event, now));
    }
  }
  if (const auto* arrived = std::get_if<SequenceArrived>(&event)) {
    const auto knows_it = [&](const auto& lane) { return lane->find(arrived->request) != nullptr; };
    if (std::any_of(lanes.begin(), lanes.end(), knows_it)) return;
    Lane& lane = *lanes[spreading.lane_for(*arrived, now)];
    gather(lane.on(event, now));
    // Who came from another lane may wait beyond what one lane takes.
    if (waiting() > limits.waiting_sequences_max * lanes.size()) gather(lane.refuse(arrived->request, now));
    return;
  }
  to_all(event, now);
}

std::size_t Scheduler::State::waiting() const {
  std::size_t sum = 0;
  for (const auto& lane : lanes) sum += lane->sequences().waiting().size();
  return sum;
}

void Scheduler::State::to_all(const Event& event, Time now) {
  for (const auto& lane : lanes) gather(lane->on(event, now));
}

// The timers of all lanes are one.
void Scheduler::State::gather(std::vector<Action> of_lane) {
  for (Action& action : of_lane) {
    if (std::holds_alternative<SetTimer>(action)) continue;
    if (const auto* emitted = std::get_if<Emit>(&action); emitted && emitted->kind == EmitKind::kEnd) {
      spreading.ended(emitted->answer_tokens);
    }
    actions.push_back(std::move(action));
  }
}

void Scheduler::State::set_timer() {
  std::optional<Time> due = grouping.next_due();
  const auto consider = [&](std::optional<Time> at) {
    if (at) due = due ? std::min(*due, *at) : at;
  };
  consider(spreading.next_due());
  for (const auto& lane : lanes) consider(lane->timer());
  if (!due || (timer && *timer <= *due)) return;
  timer = due;
  actions.emplace_back(SetTimer{due});
}

Scheduler::Scheduler(plan::ModelShape model, const Limits& limits)
    : state_(std::make_unique<State>(std::move(model), limits)) {}
Scheduler::~Scheduler() = default;

std::vector<Action> Scheduler::on(const Event& event, Time now) {
  State& state = *state_;
  if (state.lanes.size() == 1) return state.lanes.front()->on(event, now);
  state.actions.clear();
  if (std::holds_alternative<Timer>(event)) state.timer.reset();
  state.route(event, now);
  state.grouping.act(now, state.actions);
  state.spreading.act(now, state.actions);
  do {
    for (const auto& lane : state.lanes) state.gather(lane->settle(now));
  } while (state.spreading.receive_those_given_up(now));
  state.set_timer();
  return std::exchange(state.actions, {});
}

Snapshot Scheduler::snapshot() const {
  const State& state = *state_;
  if (state.lanes.size() == 1) return state.lanes.front()->snapshot();
  Snapshot sum;
  for (const auto& lane : state.lanes) {
    Snapshot of_lane = lane->snapshot();
    add(sum, of_lane);
    if (of_lane.nodes > 0) add_words(sum, of_lane);
    sum.lanes.push_back(std::move(of_lane));
  }
  if (sum.state != PlanState::kNone) {
    sum.why_none.clear();
  } else if (const std::string why = state.grouping.why_none(); !why.empty()) {
    sum.why_none = why;
  }
  sum.sequences_moved = state.spreading.moved();
  sum.decisions.assign(state.spreading.decisions().begin(), state.spreading.decisions().end());
  return sum;
}

std::vector<Outlook> Scheduler::outlooks(Time now) const {
  return state_->spreading.outlooks(now);
}

}  // namespace shoal::sched
