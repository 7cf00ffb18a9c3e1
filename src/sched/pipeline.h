// One epoch's traffic: which rows are due, the micro-batches made of them, and the steps under way.
//
// Decode rows go first, in the order they came due; prompt rows follow in chunks whose size is chosen from what steps
// cost (step_cost.h), oldest sequence first, several chunks of one prompt following each other without waiting. So that
// every stage has something to do, the decoding sequences are spread over as many micro-batches as there are stages: a
// step takes at most ceil(decoding / stages) decode rows, and at most `stages` steps with decode rows are under way
// (rows that come due meanwhile gather for the next). One step more may be under way with prompt rows alone, so that
// the first stage never waits for the coordinator. With nothing under way, whatever is due goes at once, but for one
// thing: decode rows for which a draft model has been asked wait for its answer, and no step is formed meanwhile.
//
// Where fewer sequences decode than there are stages, and drafts have come true so often that the next ones probably
// will, steps with further drafts of a sequence follow those under way: stages that would be idle compute on. They
// count only if everything before them comes true; else the stages drop them like any drafts.
//
// A new plan that keeps stages keeps their KV: live sequences go on from the rows that had come back. Stages that are
// new are refilled first (refill.h), while sequences that need nothing of the kind travel already.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/numbers.h"
#include "sched/prefix_cache.h"
#include "sched/refill.h"
#include "sched/scheduler.h"
#include "sched/sequences.h"

namespace shoal::sched {

class Pipeline {
 public:
  Pipeline(const Limits& limits, Numbers& numbers) : limits_(limits), numbers_(numbers) {}

  // The plan is dead: nothing is under way any more.
  void close(const SequenceOrder& live);
  // A stage has computed something wrongly, or may have: no stage's KV is worth anything in the next plan.
  void distrust() { filled_.clear(); }
  // A new plan. `keeps_kv`: some stage has been loaded since before it, so what may be in its KV and is of no use is
  // freed first.
  void open(const PlannedPlan& plan, bool keeps_kv, const SequenceOrder& live);

  void add(Sequence& sequence);    // admitted: what is not in the KV of its prompt is to be sent
  void token(Sequence& sequence);  // its newest token's row is due, unless it is on its way
  // Tokens it awaited are known, not yet among its own: those of as many rows of its first flight stay. What was sent
  // behind them stays if the newest token is the draft it went on from, else it is dropped.
  void sampled(Sequence& sequence, const std::vector<Token>& tokens);
  // It is to be added, and begins with what `kept` left in the KV; the first `length` tokens are the same.
  void take_over(Sequence& sequence, const Kept& kept, std::uint32_t length);
  // It is to be added, and begins as a copy of the first `length` rows of another.
  void fork(Sequence& sequence, SequenceId from, std::uint32_t length);
  bool is_forked(SequenceId from) const;  // by a step that is still to be formed
  bool can_fork() const { return forks_.size() < kForksPerStepMax; }
  // It ends. Its KV stays: the caller keeps it, or frees it; that of one that is being refilled is freed.
  void remove(Sequence& sequence);
  void free(SequenceId id);  // with the next step; nobody is forked from it

  // What a draft model should guess for the decode rows of the next step, which waits for it; to be asked before
  // form(). nullopt: no such step could be formed now, nothing pays, or it still owes an answer.
  std::optional<AskDrafts> ask_drafts(Time now);
  void drafted(const Drafted& event, Sequences& sequences);
  // The next step has waited for drafts long enough.
  void give_up_drafts(Time now);
  std::optional<Time> drafts_deadline() const;

  // Fills `step` with what is due now and counts it as under way; false: nothing is due, or there is no room.
  bool form(Time now, SendStep& step);

  bool under_way(Epoch epoch, StepId step) const { return epoch == epoch_ && in_flight_.contains(step); }
  void done(const StepDone& event, Sequences& sequences, Time now);
  std::vector<std::uint64_t> requests_of(StepId step) const;  // under way, or a refilling one

  std::size_t rows_of(StepId step) const { return in_flight_.at(step).rows; }  // under way

  // Microseconds; of the plan before while nothing was measured of this one, and 0 before anything was. A token of each
  // of so many sequences that decode; a row of a prompt, while others follow it.
  double token_us(std::size_t streams) const;
  double prompt_row_us() const;

  // How long it would take, about, to give all live sequences' rows to new stages; 0 before anything was measured.
  Duration refill_time(const SequenceOrder& live) const;
  // What new stages are to be given next; nullopt: nothing, or enough is under way.
  std::optional<Action> refill(Time now);
  bool refilling(Epoch epoch, StepId step) const { return epoch == epoch_ && refill_.under_way(step); }
  // A step of them is back; `missing`: the journal had not all of its rows.
  void refilled(StepId step, bool missing, Sequences& sequences, Time now);
  Refill::Leaving leaving() const { return refill_.leaving(); }  // as if they were live
  std::size_t sequences_refilling() const { return refill_.sequences(); }
  std::uint64_t sequences_resumed() const { return sequences_resumed_; }
  std::uint64_t sequences_restarted() const { return sequences_restarted_; }

  std::size_t steps_in_flight() const { return in_flight_.size(); }
  StepId oldest_step() const { return in_flight_.begin()->first; }
  // When a step counts as lost, and which; none with nothing under way.
  struct Deadline {
    Time at;
    StepId step;
  };
  std::optional<Deadline> deadline() const;
  bool kv_can_be_freed() const { return resident_.size() <= kFreesPerStepMax; }
  Epoch epoch() const { return epoch_; }
  std::uint64_t drafts_sent() const { return drafts_sent_; }
  std::uint64_t drafts_accepted() const { return drafts_accepted_; }
  std::uint64_t model_drafts_sent() const { return model_drafts_sent_; }
  std::uint64_t model_drafts_accepted() const { return model_drafts_accepted_; }

 private:
  const StepCosts& known_costs() const { return costs_.trip.line.microseconds(1) > 0 ? costs_ : costs_before_; }

  struct Part {
    std::uint64_t request = 0;
    std::uint32_t rows_end = 0;  // behind its last row in the step
  };
  struct InFlight {
    Time sent_at;
    std::vector<Part> parts;  // of its sequences, each once
    std::vector<SequenceId> frees;
    bool decodes = false;
    bool suspect = false;
    std::size_t rows = 0;
  };

  bool may_form() const { return in_flight_.size() <= stages_.size() && sampling_ == 0 && !drafts_awaited_since_; }
  bool suspect_goes_next() const;
  std::size_t decode_rows_next() const;
  static std::size_t drafts_left(const Sequence& sequence);  // as many at most may be sent behind its newest token
  std::size_t drafts_max(const Sequence& sequence) const;    // in a step
  void take_suspect(SendStep& step, InFlight& flight);
  void take_decode_rows(SendStep& step, InFlight& flight);
  void take_prompt_rows(SendStep& step);
  void take_rows_ahead(SendStep& step, InFlight& flight);
  std::size_t append_ahead(Sequence& sequence, SendStep& step);
  std::size_t prompt_rows() const;  // of sequences whose prompts are not all sent
  // Appends up to `rows_max` of its prompt rows; takes it out of prefilling_ when they are all sent.
  void take_prompt_of(Sequence& sequence, std::size_t rows_max, SendStep& step);
  void append_row(Sequence& sequence, bool wants_logits, SendStep& step);
  // Behind its decode row, one of `decode_rows` in the step, of which `to_come` follow.
  void append_drafts(Sequence& sequence, std::size_t decode_rows, std::size_t to_come, SendStep& step);
  void leave(Sequence& sequence);  // the step it awaits
  void start_again(Sequence& sequence);
  void note_filled();

  const Limits& limits_;
  Numbers& numbers_;
  Epoch epoch_;
  NodeId first_node_;
  std::vector<StageId> stages_;  // of the plan, in its order

  SequenceOrder prefilling_;
  std::deque<Sequence*> due_;
  std::vector<Sequence*> decoding_;       // live sequences that are not prefilling
  std::size_t sampling_ = 0;              // of them, those whose token is being chosen
  std::map<StepId, InFlight> in_flight_;  // at most one more than stages
  std::size_t decode_steps_in_flight_ = 0;
  std::size_t suspect_steps_in_flight_ = 0;
  Time last_done_;
  std::vector<SequenceId> frees_;  // for the next step
  std::vector<Fork> forks_;        // for the next step
  std::set<SequenceId> resident_;  // may be in some stage's KV: had a row, and no StepDone has confirmed its freeing
  std::set<StageId> filled_;       // stages, perhaps of a plan that is over, with all rows that came back
  Refill refill_;
  StepCosts costs_;                // of this epoch
  StepCosts costs_before_;         // of the last one before in which any were measured
  std::uint64_t drafts_sent_ = 0;  // over all epochs, as all below
  std::uint64_t drafts_accepted_ = 0;
  std::uint64_t model_drafts_sent_ = 0;  // of them, the draft model's
  std::uint64_t model_drafts_accepted_ = 0;
  std::uint64_t sequences_resumed_ = 0;    // by a new plan
  std::uint64_t sequences_restarted_ = 0;  // from their tokens
  CostLine drafting_cost_;
  std::uint64_t ask_open_ = 0;                // unanswered; 0: none
  std::size_t steps_unasked_ = 0;             // with decode rows, since the last question
  std::size_t ask_open_count_ = 0;            // most drafts it wants of a sequence
  std::optional<Time> drafts_awaited_since_;  // the next step waits for its answer
};

}  // namespace shoal::sched
