// A lane: nodes that make up one pipeline, their spares, and the sequences that it computes.
//
// It is fed the scheduler's events, those of other lanes too: what it does not know changes nothing. What it promises
// is said in scheduler.h; which nodes and which sequences it gets, Scheduler decides. A sequence leaves it whole, with
// the text it has so far, and goes on elsewhere from its tokens:
//  - at any time while no plan of the lane serves: nothing of it is under way then;
//  - else once the lane has been asked to let it go, between two of its steps: no token is computed in vain.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sched/pipeline.h"
#include "sched/placement.h"
#include "sched/prefix_cache.h"
#include "sched/sequences.h"

namespace shoal::sched {

class Lane {
 public:
  // `number`: of the lane, for people and PlannedPlan. `numbers` must outlive it.
  Lane(plan::ModelShape model, const Limits& limits, std::uint32_t number, Numbers& numbers);

  std::vector<Action> on(const Event& event, Time now);
  Snapshot snapshot() const;

  PlanState state() const { return placement_.state(); }
  const PlannedPlan& plan() const { return placement_.plan(); }
  // When it came to have no plan; only while it has none.
  Time none_since() const { return placement_.none_since(); }
  std::optional<Time> timer() const { return timer_; }  // as it was asked for last

  // --- nodes ---
  const Placement& placement() const { return placement_; }
  // Not all of its nodes are to get layers: see Limits::spares.
  void set_spares(std::size_t spares) { limits_.spares = spares; }
  // Gives a node up that hosts no stage of its plan, or any where there is no plan: what it has loaded is dropped.
  Member release(NodeId node, Time now, std::vector<Action>& actions) { return placement_.release(node, now, actions); }
  // Gives up its plan and all of its nodes.
  std::vector<Member> dissolve(Time now, std::vector<Action>& actions);
  void take(Member member, Time now) { placement_.take(std::move(member), now); }

  // --- sequences ---
  const Sequences& sequences() const { return sequences_; }
  Sequence* find(std::uint64_t request) { return sequences_.find(request); }
  // It ends with an error, because too many wait, unless it is live.
  std::vector<Action> refuse(std::uint64_t request, Time now);
  // While it has no room for a plan's sake; see above. The sequence is known.
  Sequence give(std::uint64_t request);
  // It goes on here, as one that waits.
  void take(Sequence sequence) { sequences_.put(std::move(sequence)); }
  // Asks for it; it is given up once that is possible, if `wanted` says then that it still is to go, and unless it
  // ends. One at a time: replaces the one before. Who is given up is to be fetched before anything else happens.
  void let_go(SequenceMoved move, std::function<bool(const Sequence&)> wanted);
  std::uint64_t leaving() const { return leaving_.request; }
  struct GivenUp {
    SequenceMoved move;
    Sequence sequence;
  };
  std::optional<GivenUp> given_up() { return std::exchange(given_up_, std::nullopt); }
  // What happened outside of on() is acted upon.
  std::vector<Action> settle(Time now);

  // --- what it would take here ---
  // Time for a token of each of so many sequences that decode; 0: nothing was measured.
  double token_us(std::size_t streams) const { return pipeline_.token_us(streams); }
  double prompt_row_us() const { return pipeline_.prompt_row_us(); }  // 0: nothing was measured
  std::size_t prompt_rows() const;                                    // that wait to be computed
  bool has_room(const Sequence& sequence) const {
    return sequences_.waiting().empty() && sequences_.fits(sequence, 0, 0);
  }
  // The same for the first that waits.
  bool has_place(const Sequence& first) const { return sequences_.fits(first, 0, 0); }
  // Until its stages have the rows again that they had before a stage was replaced.
  Duration refill_time() const { return pipeline_.refill_time(sequences_.live()); }
  // How much of these tokens some sequence of it, or one that has ended, has in the KV.
  std::uint32_t beginning(const std::vector<Token>& tokens) const;

 private:
  // What the KV holds of a prompt's beginning.
  struct Beginning {
    SequenceId id;
    std::uint32_t length = 0;
    const Kept* kept = nullptr;  // nullptr: of a live sequence
  };

  void handle(const NodeJoined& event, Time now);
  void handle(const NodeLost& event, Time now);
  void handle(const NodePaused& event, Time now);
  void handle(const NodeShare& event, Time now);
  void handle(const StageReady& event, Time now);
  void handle(const StageFailed& event, Time now);
  void handle(const ShardFetched& event, Time now);
  void handle(const StepDone& event, Time now);
  void handle(const StepFailed& event, Time now);
  void handle(const SequenceArrived& event, Time now);
  void handle(const TokenSampled& event, Time now);
  void handle(const SequenceCancelled& event, Time now);
  void handle(const Drafted& event, Time now);
  void handle(const Timer& event, Time now);

  void finish(Sequence& sequence, Emit last);
  void put_away(Sequence& sequence);
  void give_up_leaving();
  void fail_step(StepId step, const Error& error, bool kv_is_right, Time now);
  void fail_those_that_waited(Time now);
  void refuse(Sequence& sequence);
  void follow_placement();
  bool admit(Sequence& sequence);
  std::optional<Beginning> beginning_of(std::span<const Token> tokens) const;
  bool make_room(const Sequence& sequence, const Kept* taken_over, const Kept* spared);
  void send_steps(Time now);
  void tell_draft_model(Sequence& sequence);
  void set_timer();
  std::optional<Time> next_due() const;
  Time waits_until(const Sequence& sequence) const {
    return std::max(sequence.arrived, placement_.none_since()) + limits_.plan_wait_max;
  }

  Limits limits_;
  const std::uint32_t number_;
  Placement placement_;
  Sequences sequences_;
  Pipeline pipeline_;
  PrefixCache kept_;
  std::uint64_t cached_tokens_ = 0;
  std::vector<Action> actions_;  // of the event at hand
  PlanState state_seen_ = PlanState::kNone;
  Epoch epoch_seen_;
  std::uint32_t failed_epochs_ = 0;  // in a row, without a StepDone
  std::optional<Time> timer_;
  SequenceMoved leaving_;  // is to be given up; request 0: nobody
  std::function<bool(const Sequence&)> wanted_;
  std::optional<GivenUp> given_up_;
};

}  // namespace shoal::sched
