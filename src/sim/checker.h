// The scheduler's promises (sched/scheduler.h), checked from outside on every event and action, and the answers against
// answer_alone(). Violations are gathered as sentences; none is the only good result. What belongs to one lane is
// checker_lane.h's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sched/scheduler.h"
#include "sim/checker_book.h"
#include "sim/checker_lane.h"
#include "sim/fake_stage.h"
#include "sim/pace.h"

namespace shoal::sim {

class Checker {
 public:
  Checker(std::uint32_t layers, const sched::Limits& limits, std::uint32_t vocabulary);

  // What the scheduler is told and what it answers, in that order. `nodes`: how many there are at most.
  void event(const sched::Event& event);
  void actions(const std::vector<sched::Action>& actions, const sched::Snapshot& after, std::size_t nodes, Time now);
  // The event to come says what a sampler has chosen, once and for all: it has to be taken.
  void chosen(const sched::TokenSampled& event) { chosen_ = event; }
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
  void violation(std::string what) { book_.violation(std::move(what)); }

  const std::vector<std::string>& violations() const { return book_.violations; }
  std::size_t requests() const { return book_.requests.size(); }
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
  std::uint64_t sequences_moved() const { return sequences_moved_; }
  std::uint64_t sequences_moved_freely() const { return pace_.moved_freely(); }
  std::size_t moves_of_a_request_max() const { return pace_.moves_of_a_request_max(); }
  std::size_t lanes_max() const { return lanes_max_; }  // that served at once
  // When all requests have ended: in the KV of a stage.
  std::size_t sequences_kept(StageId stage) const;
  std::uint64_t answers() const { return answers_; }  // complete ones, equal to the one computed alone

 private:
  using Request = Book::Request;

  void check(const sched::PublishPlan& action);
  void check(const sched::WithdrawPlan& action);
  void check(const sched::LoadStage& action);
  void check(const sched::DropStage& action);
  void check(const sched::FetchShard& action);
  void check(const sched::Replay& action);
  void check(const sched::SendStep& action);
  void check(const sched::AskDrafts& action);
  void check(const sched::Emit& action);
  void check(const sched::SetTimer& action);
  void check(const sched::SequenceMoved& action);
  void check_bounds(const sched::Snapshot& after);
  void check_chosen(const std::vector<sched::Action>& actions);
  void check_end(std::uint64_t id, Request& request, const sched::Emit& action);
  void check_error(const Request& request, const sched::Emit& action);
  void check_causes(const std::vector<sched::Action>& actions, const sched::Snapshot& after);
  void take(const sched::Event& event);
  void take(const sched::SequenceArrived& event);
  void check_family(Request& request);
  void gone(NodeId node);
  void gone(StageId stage);
  void make_lanes();
  LaneChecker* lane_of(Epoch epoch);
  Duration stall_max() const;

  Book book_;
  const std::uint32_t vocabulary_;
  std::vector<LaneChecker> lanes_;
  std::size_t open_ = 0;
  std::uint64_t epochs_ = 0;
  std::map<StageId, NodeId> loaded_;                // or loading
  std::map<StageId, std::uint32_t> lane_of_stage_;  // of those that were in a plan
  std::map<NodeId, std::string> family_of_;         // of kernels
  std::map<NodeId, StageId> fetching_;              // spare nodes' shards

  sched::Snapshot after_;
  bool step_errors_allowed_ = false;
  int timers_for_now_ = 0;
  std::uint64_t tokens_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t errors_no_plan_ = 0;
  std::uint64_t errors_of_steps_ = 0;
  std::uint64_t interrupted_ = 0;
  std::uint64_t sequences_moved_ = 0;
  std::size_t lanes_max_ = 0;
  Pace pace_;
  std::optional<Time> healed_;
  // Of the newest event:
  bool is_timer_ = false;
  std::uint64_t arrives_ = 0;  // a request
  std::optional<sched::TokenSampled> chosen_;
  Time disturbed_;
  Time got_on_;
  std::uint64_t answers_ = 0;
};

}  // namespace shoal::sim
