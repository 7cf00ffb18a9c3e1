// Whether plans change and stages load at a sound pace: each change has a cause, what fails is not tried without end,
// and when the faults have stopped the shoal comes to rest. Fed by Checker (checker.h); of one coordinator's life, but
// for what it counts.
//
//  - A plan or an order to load comes in answer to an event that calls for it: a node that comes, goes or is paused, a
//    stage that is ready or failed, a step that failed or is overdue, or a timer while there is no plan; or it belongs
//    to a move, of which there are few (sched/placement.h). Each such event brings two plans at the most (one that
//    repairs, one that moves stages from paused nodes), and two orders for a node. So what happens to the shoal bounds
//    how often it changes its mind: it cannot flap by itself.
//  - A node whose stage failed is left alone for stage_retry_after, and after stage_tries_max failures until it joins
//    anew or has served. One that failed to load beside what it serves is left alone by moves only: with the old stage
//    dropped it may have the memory.
//  - In a minute there are at most kChangesInAMinuteMax plans, and as many orders for one node: about twice what the
//    fault kinds bring about, when a phone that is out of memory refuses step after step (docs/reliability.md).
//  - From `healed` on nothing changes any more, but for kMovesHealedMax moves: nodes turn out slower or faster as they
//    work, and each move waits twice as long as the one before.
//
// With several lanes (Limits::replicas) all of this holds for each of them, and:
//  - A plan is withdrawn in answer to the same events, or because its nodes are divided anew: while nobody asks, and
//    once for all nodes that have come or were resumed, and lanes that have broken, since the last time. From `healed`
//    on that happens once at the most.
//  - A request moves to another lane because its own lane does not serve it, or for being quicker there (freely). Of
//    the latter, no two follow each other sooner than sched::may_move_again allows; of all, there are at most
//    kMovesOfARequestMax in a minute.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sched/scheduler.h"

namespace shoal::sim {

inline constexpr std::size_t kChangesInAMinuteMax = 100;
inline constexpr std::size_t kMovesHealedMax = 5;       // of each lane
inline constexpr std::size_t kMovesOfARequestMax = 20;  // in a minute

class Pace {
 public:
  explicit Pace(const sched::Limits& limits) : limits_(limits) {}

  void healed_from(Time healed) { healed_ = healed; }
  // A step of this epoch failed by the event, or was seen to be lost.
  void event(const sched::Event& event, bool breaks_a_step);
  // `overdue`: some step has been awaited for step_wait_max, of each lane. `open`: requests. What is wrong, in
  // sentences.
  std::vector<std::string> actions(const std::vector<sched::Action>& actions, const sched::Snapshot& after,
                                   const std::vector<bool>& overdue, std::size_t open, Time now);
  // A request goes on in another lane.
  std::vector<std::string> moved(std::uint64_t request, bool freely, Time now);
  void restart();  // of the coordinator

  Time last_change() const { return last_change_; }
  std::size_t epochs_in_a_minute_max() const { return epochs_.most; }
  std::size_t loads_in_a_minute_max() const { return loads_max_; }
  std::uint64_t moved_freely() const { return moved_freely_; }
  std::size_t moves_of_a_request_max() const { return moves_of_a_request_max_; }

 private:
  // How often something happened in the last minute.
  struct Window {
    std::deque<Time> times;
    std::size_t most = 0;
    std::size_t add(Time now);
  };
  struct Failures {
    std::uint32_t count = 0;
    Time last;
  };

  struct Host {
    NodeId node;
    bool beside = false;
  };
  struct Lane {
    sched::PlanState state = sched::PlanState::kNone;
    std::string move;         // under way
    std::uint64_t moves = 0;  // done
    std::size_t moves_healed = 0;
    std::size_t owed = 0;  // plans that a division brings, where there are to be none
    // By the event at hand:
    bool begins = false;  // a move
    bool is_moving = false;
    bool may_change = false;
    std::size_t plans = 0;
  };
  struct Mover {
    Window all;
    std::uint32_t freely = 0;
    Time freely_at;
  };

  void look_at_lanes(const sched::Snapshot& after, const std::vector<bool>& overdue, Time now,
                     std::vector<std::string>& wrong);
  void publish(Lane& lane, Time now, std::vector<std::string>& wrong);
  void withdraw(Lane& lane, std::size_t open, Time now, std::vector<std::string>& wrong);
  void change(const char* what, bool moves, bool may_change, bool owed, Time now, std::vector<std::string>& wrong);
  void load(const sched::LoadStage& action, const Lane* of_plan, Time now, std::vector<std::string>& wrong);
  void serve(const sched::Snapshot& after);
  void check_tries(const std::map<NodeId, Failures>& failures, NodeId node, Time now,
                   std::vector<std::string>& wrong) const;

  const sched::Limits& limits_;
  std::optional<Time> healed_;
  bool cause_ = false;
  bool timer_ = false;
  std::optional<Host> failed_;  // by the event
  std::vector<Lane> lanes_;
  std::map<StageId, Host> hosts_;
  std::map<NodeId, Failures> failures_;
  std::map<NodeId, Failures> failures_beside_;
  Window epochs_;
  std::map<NodeId, Window> loads_;
  std::size_t loads_max_ = 0;
  Time last_change_;
  bool joined_ = false;   // or a lane broke, since all nodes were divided
  bool divides_ = false;  // by the event at hand
  std::size_t divisions_healed_ = 0;
  std::map<std::uint64_t, Mover> movers_;  // by request
  std::uint64_t moved_freely_ = 0;
  std::size_t moves_of_a_request_max_ = 0;
};

}  // namespace shoal::sim
