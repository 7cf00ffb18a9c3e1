// A whole shoal in simulated time: the real scheduler, fake phones (memory, speed, FIFO queue, hash-chain stages),
// links (delay, jitter, FIFO, loss), users who ask and cancel, a draft model that is right, wrong, late or gone, and
// faults. Deterministic: everything follows from the seed.
//
// Checked in every run (checker.h): the scheduler's invariants; each answer equals the one computed alone; each request
// ends, with its answer or a typed error, by its deadline; no phone holds more than its memory; stages never see a row
// out of order unless a step was lost on purpose; nothing is tried again without end and no plan changes without a
// cause; and when the faults have stopped and all nodes are back, everything heals.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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
  std::uint32_t replicas = 0;    // pipelines at the most
  std::uint32_t vocabulary = 0;  // few tokens: text that repeats itself, and drafts that come true
  bool faults = true;
  bool keep_plan = false;                          // the plan changes only when it must; else the seed decides
  Duration faults_until{};                         // 0: the form decides
  Duration healed_by = std::chrono::seconds(400);  // what is not over by then counts as never ending
  // For tests that prove that breaking is seen: a stage that breaks at its n-th step, or steps changed on their way out
  // of the scheduler.
  StageFault stage_fault = StageFault::kNone;
  std::uint64_t stage_fault_at = 0;
  std::function<void(sched::SendStep&)> tamper;
  std::function<void(const sched::Event&, std::vector<sched::Action>&)> tamper_actions;
  std::uint64_t memory_told_percent = 100;  // of what a phone really has
  // The faults form: ten minutes with links that break as real ones do, and every kind of fault (faults.h), all
  // overlapping. Else 51 s with a few of them.
  bool all_faults = false;
  std::vector<std::string> fault_kinds;         // of the faults form, by name; empty: the seed decides
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
  std::uint64_t lanes_max = 0;        // that served at once
  std::uint64_t sequences_moved = 0;  // from a lane to another
  // Of the faults form, as below: of them, for being quicker there; and most of a request in a minute.
  std::uint64_t sequences_moved_freely = 0;
  std::uint64_t moves_of_a_request_max = 0;
  std::map<std::string, std::uint64_t> faults;  // how many there were, by kind
  std::uint64_t requests_interrupted = 0;       // by the end of the coordinator
  std::uint64_t requests_given_up = 0;          // by their users, who had waited too long
  std::uint64_t errors_no_plan = 0;             // of `errors`: no plan for too long
  std::uint64_t errors_of_steps = 0;            // of `errors`: its steps failed too often
  std::uint64_t links_broken = 0;               // data links in use
  std::uint64_t steps_relayed = 0;
  std::uint64_t loads_in_a_minute_max = 0;  // of a node
  std::uint64_t epochs_in_a_minute_max = 0;
  Duration healed_after{};  // the last change of the plan, after the faults had stopped
  Duration simulated{};
  std::string text() const;         // one line
  std::string faults_text() const;  // of the faults form, one more
};

Report run(const Options& options);

}  // namespace shoal::sim
