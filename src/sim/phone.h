// A simulated phone: its stages, its compute queue and what it knows of the plan. World (world.h) moves the
// messages; a phone only says what it does with them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "sched/scheduler.h"
#include "sim/fake_stage.h"
#include "sim/network.h"

namespace shoal::sim {

struct FakeStep {
  Epoch epoch;
  StepId step;
  StageId ends_at;
  std::vector<FakeRow> rows;
  std::vector<sched::Row> sent;  // as the scheduler made them; for the coordinator, when it comes back
  std::vector<SequenceId> frees;
  std::vector<Fork> forks;
  std::vector<Truncation> truncations;
  StageId to;                                       // as its sender's plan has it
  std::vector<sched::StepDone::Computed> computed;  // by the stages it went through
};

// How steps get to the node of the next stage (node/data_links.h).
struct DataLink {
  enum class Way { kNone, kDialling, kDirect, kRelay };
  Way way = Way::kNone;
  std::size_t to = 0;  // a phone
  LinkId link = 0;     // direct
  Time dial_until;
  std::uint64_t dialling = 0;                 // answers to an older attempt are dropped
  std::deque<std::function<void()>> pending;  // delivered at the other end
};

struct Phone {
  plan::NodeProfile profile;
  Duration per_row_layer{};
  Duration per_step{};
  bool alive = false;
  std::uint64_t life = 0;         // grows with each start and each end: what was meant for an older life is lost
  bool paused = false;            // by its owner
  bool joined = false;            // as the coordinator sees it
  std::uint64_t joined_life = 0;  // the life whose control link the coordinator has
  std::uint32_t load_failures = 0;
  std::size_t journal_rows_max = 0;  // of a sequence; more, and it is forgotten
  std::uint64_t memory_bytes = 0;    // what there is; what it tells is in the profile

  // Of worlds with a network (world_links.cc).
  LinkId control = 0;         // as it sees it
  LinkId joined_control = 0;  // as the coordinator sees it, once it has said Hello
  Duration retry_pause{};
  DataLink next;
  std::map<LinkId, std::size_t> accepted;  // data links, by who dialled
  StepId last_sent;                        // over a data link
  std::uint64_t dials = 0;

  // Faults that last (faults.cc).
  std::uint32_t slowness = 1;   // computing takes so many times as long
  bool out_of_memory = false;   // stages refuse steps, and some do not load
  bool repeats_itself = false;  // what it has said comes again, later

  // Gone when it dies:
  struct Stage {
    FakeStage fake;
    bool ready = false;
    std::map<SequenceId, std::vector<Value>> journal;  // what it gave for each row
  };
  std::map<StageId, Stage> stages;
  sched::PlannedPlan plan;      // the newest it has seen
  std::vector<FakeStep> early;  // steps of a plan it has not seen yet
  Time busy_until;

  void forget() {
    stages.clear();
    plan = {};
    early.clear();
    busy_until = {};
  }
  void write_journal(Stage& stage, const FakeStep& step) const {
    for (SequenceId id : step.frees) stage.journal.erase(id);
    for (const Fork& fork : step.forks) {
      const auto from = stage.journal.find(fork.from);
      if (from == stage.journal.end() || from->second.size() < fork.length) continue;
      stage.journal[fork.sequence] = {from->second.begin(), from->second.begin() + fork.length};
    }
    for (const FakeRow& row : step.rows) {
      std::vector<Value>& rows = stage.journal[row.sequence];
      if (row.position > rows.size()) continue;  // its beginning is forgotten
      rows.resize(row.position);
      rows.push_back(row.value);
      if (rows.size() > journal_rows_max) stage.journal.erase(row.sequence);
    }
  }
  bool knows(NodeId node) const {
    return std::any_of(plan.stages.begin(), plan.stages.end(), [&](const auto& stage) { return stage.node == node; });
  }
  std::optional<std::size_t> place_in_plan() const {
    for (std::size_t i = 0; i < plan.stages.size(); ++i) {
      if (plan.stages[i].node == profile.node) return i;
    }
    return std::nullopt;
  }
};

}  // namespace shoal::sim
