// The scheduler's promises (sched/scheduler.h), checked from outside on every event and action, and the answers against
// answer_alone(). Violations are gathered as sentences; none is the only good result.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sched/scheduler.h"
#include "sim/fake_stage.h"
#include "sim/pace.h"

namespace shoal::sim {

class Checker {
 public:
  Checker(std::uint32_t layers, const sched::Limits& limits, std::uint32_t vocabulary)
      : layers_(layers), vocabulary_(vocabulary), limits_(limits), pace_(limits_) {}

  // What the scheduler is told and what it answers, in that order. `nodes`: how many there are at most.
  void event(const sched::Event& event);
  void actions(const std::vector<sched::Action>& actions, const sched::Snapshot& after, std::size_t nodes, Time now);
  // For worlds in which steps may fail for ever: a sequence may then end with its step's error.
  void allow_step_errors() { step_errors_allowed_ = true; }
  // For worlds whose faults stop: what pace.h says, and who asks from `healed` on is answered.
  void healed_from(Time healed);
  void disturbed(Time now) { disturbed_ = now; }  // a fault begins or ends
  // While requests are open, some of them gets on: at the latest stall_max() after the newest disturbance.
  void watch(Time now);
  // Nothing is left of a scheduler but what its clients have got. Those requests that were open, which have an error.
  std::vector<std::uint64_t> restart(Time now);
  bool is_open(std::uint64_t request) const;
  // At the end of a run whose faults have stopped.
  void all_done(const sched::Snapshot& snapshot);
  void violation(std::string what);

  const std::vector<std::string>& violations() const { return violations_; }
  std::size_t requests() const { return requests_.size(); }
  std::size_t requests_open() const { return open_; }
  std::uint64_t tokens() const { return tokens_; }
  // Whether it is the row of the newest token of its request's text; not after its end.
  bool is_newest(const sched::Row& row) const;
  // What has to come behind the first `position` tokens of a request's text; nullopt: its answer is over by then.
  std::optional<Token> right_token(std::uint64_t request, std::size_t position) const;
  std::uint64_t errors() const { return errors_; }
  std::uint64_t errors_no_plan() const { return errors_no_plan_; }
  std::uint64_t errors_of_steps() const { return errors_of_steps_; }
  std::uint64_t interrupted() const { return interrupted_; }
  Time last_change() const { return pace_.last_change(); }
  std::size_t loads_in_a_minute_max() const { return pace_.loads_in_a_minute_max(); }
  std::size_t epochs_in_a_minute_max() const { return pace_.epochs_in_a_minute_max(); }
  std::size_t sequences_kept() const { return kv_.size(); }  // when all requests have ended
  std::uint64_t answers() const { return answers_; }         // complete ones, equal to the one computed alone

 private:
  struct Request {
    std::vector<Token> prompt;
    std::uint32_t tokens_max = 0;  // as clipped
    bool valid = true;
    Answer expected;
    std::size_t emitted = 0;
    bool ended = false;
    bool cancelled = false;
    Time arrived;
    std::uint32_t blamed = 0;  // failed steps since its last token
    SequenceId sequence;       // of this epoch
    std::size_t told = 0;      // of its text, to a draft model
  };
  struct Sent {
    std::vector<SequenceId> frees;
    std::set<std::uint64_t> requests;
  };
  struct InKv {
    std::uint64_t request = 0;  // whose it is, or was; 0: a fork that nobody has used so far
    std::vector<Token> tokens;  // of its rows
    std::uint64_t cells = 0;    // promised to it
    std::set<StepId> awaited;   // the steps with rows that want logits, since its newest token was sent
  };

  void check(const sched::PublishPlan& action);
  void check(const sched::LoadStage& action);
  void check(const sched::DropStage& action);
  void check(const sched::FetchShard& action);
  void check(const sched::Replay& action);
  void check_refill(StageId ends_at, SequenceId id, std::uint64_t request, std::uint32_t first, std::uint32_t count);
  void check(const sched::SendStep& action);
  void check(const sched::AskDrafts& action);
  void check(const sched::Emit& action);
  void check(const sched::SetTimer& action);
  void check_row(const sched::Row& row, StepId step);
  bool claim(Request& request, const sched::Row& row);
  void resume(SequenceId id, std::uint32_t length);
  bool may_stay(SequenceId id) const;
  void check_frees(const sched::SendStep& action);
  const InKv* source_of(const Fork& fork) const;
  void check_forks(const sched::SendStep& action);
  void check_truncations(const sched::SendStep& action);
  Token known_token(const Request& request, std::size_t position) const;
  void check_end(Request& request, const sched::Emit& action);
  void check_error(const Request& request, const sched::Emit& action);
  void check_causes(const std::vector<sched::Action>& actions, const sched::Snapshot& after);
  void take(const sched::Event& event);
  void await_refill(StepId step, std::uint64_t request);
  void blame(StepId step);
  bool overdue() const;
  Duration stall_max() const;

  const std::uint32_t layers_;
  const std::uint32_t vocabulary_;
  const sched::Limits limits_;
  std::map<std::uint64_t, Request> requests_;
  std::size_t open_ = 0;

  Epoch epoch_;
  std::size_t stages_ = 0;
  bool first_step_ = true;
  std::set<StageId> loaded_;                                         // or loading
  std::set<StageId> in_plan_;                                        // of them, or of a plan before: may have KV
  std::map<SequenceId, InKv> kv_;                                    // of this epoch, not yet freed
  std::map<SequenceId, InKv> before_;                                // of older ones: freed, or gone on with
  std::map<SequenceId, std::map<StageId, std::uint32_t>> refilled_;  // rows, by the stage where they end
  std::optional<StageId> fetching_;                                  // a spare node's shard
  NodeId fetching_node_;
  std::set<SequenceId> used_;                // in any epoch
  std::map<StepId, Sent> in_flight_;         // of this epoch
  std::map<StepId, std::uint64_t> refills_;  // of this epoch, under way; by request
  Time waits_since_;                         // for a step
  Time refill_waits_since_;
  std::set<SequenceId> resident_;  // may still be in some stage's KV
  StepId last_step_;
  std::uint64_t ask_open_ = 0;
  std::uint64_t cells_ = 0;

  sched::Snapshot after_;
  Time now_;
  bool step_errors_allowed_ = false;
  int timers_for_now_ = 0;
  std::uint64_t tokens_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t errors_no_plan_ = 0;
  std::uint64_t errors_of_steps_ = 0;
  std::uint64_t interrupted_ = 0;
  Pace pace_;
  std::optional<Time> healed_;
  // Of the newest event:
  bool is_timer_ = false;
  std::uint64_t arrives_ = 0;  // a request
  bool breaks_a_step_ = false;
  bool step_back_ = false;
  bool refill_back_ = false;
  Time disturbed_;
  Time got_on_;
  std::uint64_t answers_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace shoal::sim
