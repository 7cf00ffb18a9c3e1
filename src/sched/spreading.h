// Which sequence is in which lane, where there are several (Limits::replicas). A part of Scheduler; the arithmetic is
// balance.h's.
//
// A new sequence goes where it is expected to be done first. It goes elsewhere, from its tokens,
//  - when its lane has no plan any more, at once; when its lane loads a stage, where another lane would have it going
//    on sooner and has room for it;
//  - when it waits for a place in its lane and there is one in another;
//  - when another lane is so much quicker that moving there pays.
// Where answers are to be exact, one that has begun stays within its kernel family. Where they are exact if that can be
// had, it leaves it when its lane has had no plan for kDissolveAfter, or for half of the time that it may wait.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sched/balance.h"
#include "sched/grouping.h"
#include "sched/lane.h"

namespace shoal::sched {

inline constexpr std::size_t kDecisionsMax = 20;

class Spreading {
 public:
  Spreading(const Limits& limits, Lanes& lanes) : limits_(limits), lanes_(lanes), ways_(lanes.size()) {}

  // Where a new sequence is done first; of lanes without a plan, one that has nodes.
  std::size_t lane_for(const SequenceArrived& event, Time now) const;
  void ended(std::uint32_t tokens) { length_.ended(tokens); }

  // Moves what is to be moved. Lanes that have got or given some are to be settled: Lane::settle().
  void act(Time now, std::vector<Action>& actions);
  // Moves what lanes have given up meanwhile; false: nothing. To be asked after they were settled.
  bool receive_those_given_up(Time now);
  std::optional<Time> next_due() const;

  std::vector<Outlook> outlooks(Time now) const;
  std::uint64_t moved() const { return moved_; }
  const std::deque<std::string>& decisions() const { return decisions_; }

 private:
  struct Way {  // of a lane
    PlanState seen = PlanState::kNone;
    Time loading_since;
  };
  struct Target {
    std::size_t lane = 0;
    double rows = 0;  // to be computed there
    double tokens = 0;
  };

  void watch_states(Time now);
  void leave_broken_lane(std::size_t from, Time now, std::vector<Action>& actions);
  void share_out_waiting(Time now, std::vector<Action>& actions);
  void look_for_quicker(Time now);
  std::optional<Target> best_for(const Sequence& sequence, std::size_t from, std::span<const Outlook> all,
                                 bool now_only) const;
  bool keeps_its_bits(const Sequence& sequence, std::size_t from, std::size_t to) const;
  Time gives_up_bits_at(std::size_t lane) const;  // only while it has no plan
  void note(const SequenceMoved& move);
  void move(SequenceMoved move, std::vector<Action>& actions);

  const Limits& limits_;
  Lanes& lanes_;
  std::vector<Way> ways_;
  AnswerLength length_;
  Duration load_took_ = std::chrono::seconds(3);  // the last time that a lane loaded; this before the first
  Time looked_at_;
  Time now_;  // of the newest event
  std::uint64_t moved_ = 0;
  std::deque<std::string> decisions_;
};

}  // namespace shoal::sched
