// A simulated phone: its stages, its compute queue and what it knows of the plan. World (world.h) moves the
// messages; a phone only says what it does with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "sched/scheduler.h"
#include "sim/fake_stage.h"

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
  std::vector<sched::StepDone::Computed> computed;  // by the stages it went through
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
  std::optional<std::size_t> place_in_plan() const {
    for (std::size_t i = 0; i < plan.stages.size(); ++i) {
      if (plan.stages[i].node == profile.node) return i;
    }
    return std::nullopt;
  }
};

}  // namespace shoal::sim
