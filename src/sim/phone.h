// A simulated phone: its stages, its compute queue and what it knows of the plan. World (simulation.cc) moves the
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
  std::vector<FakeRow> rows;
  std::vector<sched::Row> sent;  // as the scheduler made them; for the coordinator, when it comes back
  std::vector<SequenceId> frees;
  std::vector<Fork> forks;
  std::vector<Truncation> truncations;
};

struct Phone {
  plan::NodeProfile profile;
  Duration per_row_layer{};
  Duration per_step{};
  bool alive = false;
  std::uint64_t life = 0;         // grows with each start and each end: what was meant for an older life is lost
  bool joined = false;            // as the coordinator sees it
  std::uint64_t joined_life = 0;  // the life whose control link the coordinator has
  std::uint32_t load_failures = 0;

  // Gone when it dies:
  struct Stage {
    FakeStage fake;
    bool ready = false;
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
  std::optional<std::size_t> place_in_plan() const {
    for (std::size_t i = 0; i < plan.stages.size(); ++i) {
      if (plan.stages[i].node == profile.node) return i;
    }
    return std::nullopt;
  }
};

}  // namespace shoal::sim
