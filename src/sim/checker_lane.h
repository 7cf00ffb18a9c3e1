// One lane's steps and KV, as Checker (checker.h) sees them: the rows that the stages have, whose they are, which steps
// are under way and who is to blame for one that fails. Fed by Checker with what belongs to the lane.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "sched/scheduler.h"
#include "sim/checker_book.h"

namespace shoal::sim {

class LaneChecker {
 public:
  LaneChecker(std::uint32_t number, Book& book) : number_(number), book_(&book) {}

  Epoch epoch() const { return epoch_; }
  bool has_plan() const { return has_plan_; }
  const std::set<NodeId>& nodes() const { return nodes_; }                      // of its newest plan
  bool hosts(NodeId node) const { return has_plan_ && nodes_.contains(node); }  // a stage of its plan
  std::size_t sequences_kept() const { return kv_.size(); }
  bool computes(std::uint64_t request) const { return ids_.contains(request); }  // has sent rows of it in this epoch

  // --- of an event ---
  void begin_event();
  void done(const sched::StepDone& event);
  void failed(const sched::StepFailed& event);
  void sampled(const sched::TokenSampled& event);
  void drafted(const sched::Drafted& event);
  bool breaks_a_step() const { return breaks_a_step_; }
  // Before its actions are looked at: who is blamed for a step that was awaited for too long.
  void judge(bool is_timer, bool new_plan);
  bool late() const { return late_; }

  // --- of its actions ---
  void publish(const sched::PlannedPlan& plan);
  void withdraw(const sched::WithdrawPlan& action);
  void dropped(StageId stage) { in_plan_.erase(stage); }
  void check(const sched::Replay& action);
  void check(const sched::SendStep& action);
  void ask(std::uint64_t ask);
  void ended(std::uint64_t request);
  void moved_away(std::uint64_t request);
  // After all of them.
  void check_state(const sched::Snapshot& after);
  sched::PlanState state() const { return state_; }
  void all_done() const;

 private:
  using Request = Book::Request;
  struct Sent {
    std::vector<SequenceId> frees;
    std::set<std::uint64_t> requests;
  };
  struct InKv {
    std::uint64_t request = 0;  // whose it is, or was; 0: nobody's
    std::vector<Token> tokens;  // of its rows
    std::uint64_t cells = 0;    // promised to it
    std::set<StepId> awaited;   // the steps with rows that want logits, since its newest token was sent
  };

  void violation(std::string what) { book_->violation(std::move(what)); }
  void note_step(Epoch epoch, StepId step);
  bool take_in(std::uint64_t id, Request& request);
  void check_refill(StageId ends_at, SequenceId id, std::uint64_t request, std::uint32_t first, std::uint32_t count);
  void check_refill(const sched::SendStep& action);
  void check_frees(const sched::SendStep& action);
  void check_forks(const sched::SendStep& action);
  void check_truncations(const sched::SendStep& action);
  void check_row(const sched::Row& row, StepId step);
  bool claim(const Request& request, const sched::Row& row);
  void resume(SequenceId id, std::uint32_t length);
  bool is_owned(SequenceId id, const InKv& kv) const;
  bool may_stay(SequenceId id) const;
  const InKv* source_of(const Fork& fork) const;
  void leave(InKv& kv);
  void await_refill(StepId step, std::uint64_t request);
  void blame(StepId step);
  bool overdue() const;

  std::uint32_t number_;
  Book* book_;
  sched::PlanState state_ = sched::PlanState::kNone;  // before the event at hand
  Epoch epoch_;
  bool has_plan_ = false;
  std::set<NodeId> nodes_;  // of the plan
  std::size_t stages_ = 0;
  bool first_step_ = true;
  std::set<StageId> in_plan_;                                        // or of a plan before: may have KV
  std::map<std::uint64_t, SequenceId> ids_;                          // of this epoch, by request
  std::map<SequenceId, InKv> kv_;                                    // of this epoch, not yet freed
  std::map<SequenceId, InKv> before_;                                // of older ones: freed, or gone on with
  std::map<SequenceId, std::map<StageId, std::uint32_t>> refilled_;  // rows, by the stage where they end
  std::map<StepId, Sent> in_flight_;                                 // of this epoch
  std::map<StepId, std::uint64_t> refills_;                          // of this epoch, under way; by request
  Time waits_since_;                                                 // for a step
  Time refill_waits_since_;
  std::set<SequenceId> resident_;  // may still be in some stage's KV
  std::uint64_t cells_ = 0;
  std::uint64_t ask_open_ = 0;
  // Of the event at hand:
  bool breaks_a_step_ = false;
  bool step_back_ = false;
  bool refill_back_ = false;
  bool late_ = false;
};

}  // namespace shoal::sim
