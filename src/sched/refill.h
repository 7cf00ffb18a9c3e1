// What stages lack that take the place of others: the KV of sequences that other stages of the plan still have.
//
// Stages that are new stand in the plan in runs. A run gets a sequence's rows [0, Sequence::done) from the journal of
// the stage before it (Replay), or, where it begins with the first stage, as tokens (SendStep with ends_at); they go
// through the run and end with its last stage. A sequence is refilled when all runs have all of its rows. Runs are
// filled at the same time, sequences in the order in which they came, in chunks, at most kReplaysInFlightMax of which
// are under way in a run.
//
// A sequence whose rows a journal does not have starts again from its tokens. What became of a sequence is told when
// nothing of it is under way any more: else its rows could reach a stage after the step that frees them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/scheduler.h"
#include "sched/sequences.h"

namespace shoal::sched {

inline constexpr std::size_t kReplaysInFlightMax = 3;

class Refill {
 public:
  // `filled`: the stages of the plan that have the sequences' rows. Some of the others are in the plan, or nothing is
  // to be done.
  void open(const PlannedPlan& plan, const std::set<StageId>& filled, const SequenceOrder& live);
  void close();
  // The sequence ends. true: its KV may be freed now; else the step is told after which it may.
  bool remove(const Sequence& sequence);

  // The next chunk, of at most `rows_max` rows, as step `step`; nullopt: none is due, or enough are under way.
  std::optional<Action> next(StepId step, std::uint32_t rows_max, Time now);

  struct Change {
    enum class Kind { kRefilled, kStartsAgain, kMayBeFreed };
    Kind kind = Kind::kRefilled;
    SequenceId id;
    std::uint64_t request = 0;
  };
  bool under_way(StepId step) const { return under_way_.contains(step); }
  std::uint64_t request_of(StepId step) const { return under_way_.at(step).request; }
  // A step under way has come back, or (`missing`) the journal had not all of its rows. nullopt: more of its sequence
  // is to come.
  std::optional<Change> back(StepId step, bool missing, Time now);

  // Sequences that have ended and of which something is under way: their KV is not free yet.
  struct Leaving {
    std::size_t sequences = 0;
    std::uint64_t cells = 0;
  };
  Leaving leaving() const;

  bool idle() const { return sequences_.empty(); }
  std::size_t sequences() const { return sequences_.size(); }
  StepId oldest_step() const { return under_way_.begin()->first; }
  // Since when nothing has come back; nullopt: nothing is under way.
  std::optional<Time> waits_since() const;

 private:
  struct Run {
    NodeId node;    // who sends: of the stage before the run, or of its first stage, which is sent tokens
    StageId stage;  // the same
    bool tokens = false;
    StageId ends_at;
    std::deque<std::pair<SequenceId, std::uint32_t>> waiting;  // with the next row
    std::size_t in_flight = 0;
  };
  struct Entry {
    const Sequence* sequence = nullptr;  // nullptr: it has ended
    std::uint64_t request = 0;
    std::uint32_t rows = 0;
    std::uint32_t cells = 0;    // it has reserved
    std::size_t runs = 0;       // that have not all of its rows
    std::size_t in_flight = 0;  // chunks
    bool missing = false;
  };
  struct Chunk {
    std::size_t run = 0;
    SequenceId id;
    std::uint64_t request = 0;
    bool last = false;  // of its run
    Time sent_at;
  };

  Action chunk(const Run& run, const Entry& entry, SequenceId id, std::uint32_t first, std::uint32_t count,
               StepId step) const;
  void forget_waiting(SequenceId id);

  Epoch epoch_;
  std::vector<Run> runs_;
  std::map<SequenceId, Entry> sequences_;
  std::map<StepId, Chunk> under_way_;
  Time last_back_;
};

}  // namespace shoal::sched
