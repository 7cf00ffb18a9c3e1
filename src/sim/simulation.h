// A whole shoal in simulated time: the real scheduler, fake phones (memory, speed, FIFO queue, hash-chain stages),
// links (delay, jitter, FIFO, loss), users who ask and cancel, a draft model that is right, wrong, late or gone, and
// faults. Deterministic: everything follows from the seed.
//
// Checked in every run (checker.h): the scheduler's invariants; each answer equals the one computed alone; no request
// is left; stages never see a row out of order unless a step was lost on purpose; and when the faults have stopped and
// all nodes are back, everything heals.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sched/scheduler.h"
#include "sim/fake_stage.h"

namespace shoal::sim {

// What a seed leaves open; 0 or nullopt: the seed decides.
struct Options {
  std::uint64_t seed = 1;
  std::uint32_t layers = 0;
  std::uint32_t nodes = 0;
  std::uint32_t requests = 0;
  std::uint32_t vocabulary = 0;  // few tokens: text that repeats itself, and drafts that come true
  bool faults = true;
  bool keep_plan = false;  // the plan changes only when it must; else the seed decides
  Duration faults_until = std::chrono::seconds(40);
  Duration healed_by = std::chrono::seconds(400);  // what is not over by then counts as never ending
  // For tests that prove that breaking is seen: a stage that breaks at its n-th step, or steps changed on their way out
  // of the scheduler.
  StageFault stage_fault = StageFault::kNone;
  std::uint64_t stage_fault_at = 0;
  std::function<void(sched::SendStep&)> tamper;
  std::function<void(const std::string&)> log;  // one line an event; for people
};

struct Report {
  std::uint64_t log_hash = 0;  // of all that happened: equal runs have equal hashes
  std::vector<std::string> violations;
  std::uint64_t events = 0;  // told to the scheduler
  std::uint64_t steps = 0;
  std::uint64_t tokens = 0;
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;  // complete and equal to the answer alone
  std::uint64_t errors = 0;
  std::uint64_t epochs = 0;
  std::uint64_t nodes_lost = 0;
  std::uint64_t drafts_sent = 0;
  std::uint64_t drafts_accepted = 0;
  std::uint64_t model_drafts_sent = 0;  // of them, a draft model's
  std::uint64_t model_drafts_accepted = 0;
  std::uint64_t cached_tokens = 0;  // of prompts
  std::uint64_t steps_lost = 0;
  std::uint64_t steps_failed = 0;
  std::uint64_t stages_failed = 0;
  std::uint64_t stages_kept = 0;  // by a later plan
  std::uint64_t moves = 0;        // to a plan that was made ready while another served
  std::uint64_t sequences_resumed = 0;
  std::uint64_t sequences_restarted = 0;
  std::uint64_t replays = 0;
  std::uint64_t replays_missing = 0;  // the journal had not all rows
  std::uint64_t shards_fetched = 0;   // by spare phones
  Duration simulated{};
  std::string text() const;  // one line
};

Report run(const Options& options);

}  // namespace shoal::sim
