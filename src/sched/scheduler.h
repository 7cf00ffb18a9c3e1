// The scheduler: decides which micro-batch goes where and when. A pure state machine (docs/architecture.md §3).
//
//   actions = scheduler.on(event, now)
//
// It reads no clock, draws no random number, opens no socket, starts no thread; equal events give equal actions. The
// coordinator feeds it real events, src/sim simulated ones, a fuzz test anything: an event that makes no sense (stale
// epoch, unknown id, a repetition) changes nothing.
//
// Invariants, checked by the simulation:
//  - For each sequence the rows sent through a pipeline have positions 0, 1, 2, ... without gap or repetition, but for
//    a step that truncates it first: then they go on from there.
//  - A row that wants logits is sent only after every earlier token of its sequence is known, or behind such a row with
//    nothing but drafts between them (drafting.h), in the same step or in one that follows. Steps that follow count
//    only where the text has become what they were computed for; a sequence has rows that want logits in at most as
//    many steps as may be under way.
//  - At most stages + 1 steps are in a pipeline, at most `stages` of them with decode rows; at most rows_per_step_max
//    rows are in a step; at most sequences_max sequences and kv_tokens_total cells (prompt + answer limit of each,
//    reserved on admission) are in its KV.
//  - A draft model is asked for a sequence's newest token at most once, and owes one answer at most. The texts told to
//    it are, one after the other, the sequence's tokens from its first. A step waits draft_wait_max for an answer.
//  - A sequence ends with exactly one Emit of kind kEnd or kError; tokens are emitted in order, none twice.
//  - A new plan has a new epoch; what belongs to an older one is ignored. Sequences alive when a plan dies go on under
//    the next one, and their clients see a pause. Where it keeps stages of the one before, from the rows that had come
//    back and under their ids, their first step truncates them to these, once the stages that are new have got the same
//    rows: from the journal of the stage before them, or from tokens where they are the first ones (refill.h). Else
//    from their tokens, with a fresh SequenceId.
//  - A SequenceId that had rows in an epoch is named in the `frees` of exactly one later step of that epoch, unless the
//    epoch dies first, or it is kept: with the prefix cache, what an ended sequence leaves in the KV stays until it is
//    in the way (prefix_cache.h), and a new sequence may go on under its id, or begin as a fork of it or of a live one.
//  - A stage that a new plan gives the same node with the same range keeps its StageId and is not loaded again. What it
//    may still hold in its KV from older epochs (every sequence whose freeing no StepDone has confirmed) is named in
//    the `frees` of the first step of the new epoch, which comes before any other; but for the sequences that go on.
//  - A new plan comes as PublishPlan, then the DropStages, then the LoadStages that need their memory. Stages of a plan
//    that is wanted, but not needed at once, are loaded before it comes (make before break).
//
// What happens when something breaks:
//  - A node with a stage is lost: a spare node takes its place, one with the shard on flash before others, and all else
//    stays; or a new plan at once over who is left, whatever nodes_min says. None is feasible: stages stay loaded where
//    they are, sequences wait up to plan_wait_max for nodes to come (back).
//  - A stage's journal does not reach back to a sequence's first row: the sequence is computed again from its tokens.
//  - A stage fails to load: its node is left out for stage_retry_after, after stage_tries_max times until it joins
//    anew.
//  - A step fails, does not come back, or a later one comes back before it: the same plan under a new epoch. Only the
//    sequences in that step are blamed; a blamed one travels alone until it has made a token, so that it cannot take
//    others with it, and after step_failures_max failures without a token it ends with the step's error. Where a stage
//    could not compute, no KV is trusted. Two failures without any StepDone between them: all stages are loaded anew.
//
// What changes the plan while all is well (placement.h), unless keep_plan is set:
//  - Nodes that serve turn out slower or faster than the plan took them for, or one has joined: where a new plan would
//    make the slowest stage so much quicker that moving to it pays, its stages are loaded beside those that serve, and
//    when all are ready the plan changes; the answers go on. Where memory does not allow both, shards are fetched first
//    and the stage is loaded when the plan changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "plan/planner.h"

namespace shoal::sched {

struct Outlook;  // balance.h

// Most SequenceIds in the frees of one step, and most forks; what wire::Step can carry.
inline constexpr std::size_t kFreesPerStepMax = 4096;
inline constexpr std::size_t kForksPerStepMax = 64;

// Values that cannot work (0 rows, 0 sequences) are raised to the least that can.
struct Limits {
  StageSettings settings;  // sequences_max, kv_tokens_total, context_tokens_max
  std::uint32_t rows_per_step_max = kStepRowsMax;
  std::uint32_t prompt_rows_per_step_max = kStepRowsMax;  // a chunk of a prompt; its size is chosen (step_cost.h)
  bool prefix_cache = true;             // what ended sequences leave in the KV serves prompts that begin alike
  std::uint32_t draft_tokens_max = 15;  // guessed ahead of a decode row, where that pays; 0: never
  bool draft_model = false;             // there is one: AskDrafts is answered by Drafted
  Duration draft_wait_max = std::chrono::milliseconds(250);
  std::uint32_t waiting_sequences_max = 256;  // beyond: kResourceExhausted to the caller (429)
  Duration plan_wait_max =
      std::chrono::seconds(60);  // a live sequence without any feasible plan for so long ends with kUnavailable
  Duration plan_settle = std::chrono::milliseconds(300);  // after a node joins, wait so long for more before planning
  Duration load_wait_max = std::chrono::minutes(30);      // a stage that is not ready by then counts as failed
  std::uint32_t nodes_min = 1;                            // the first plan waits for so many nodes (`serve --nodes N`)
  Duration step_wait_max =
      std::chrono::seconds(30);         // without any StepDone for so long, the oldest step counts as failed
  std::uint32_t step_failures_max = 3;  // of one sequence, without a token between them; then it ends
  Duration stage_retry_after = std::chrono::seconds(30);  // a node whose stage failed is left out for so long
  std::uint32_t stage_tries_max = 3;                      // and after so many failures until it joins anew
  bool keep_plan = false;  // it changes only when it must: nodes that join are spare, however fast they are
  std::size_t spares = 0;  // so many nodes get no layers, to take over from others, where the rest holds the model
  // As many lanes are made as nodes can hold the model, each with nodes of its own, and so many at the most.
  std::size_t replicas = 1;
};

// --- events ---

// A node that is known already has come back: what it hosted is gone.
struct NodeJoined {
  plan::NodeProfile profile;
  bool paused = false;
};
struct NodeLost {
  NodeId node;
};
// The node is to host nothing, or may again. What it hosts goes to a spare node first, and it serves until then; where
// there is none, a new plan without it is made ready, and where none is feasible it serves on
// (Snapshot::why_not_moved).
struct NodePaused {
  NodeId node;
  bool paused = true;
};
// Of what the node could do it is to be given so much: it has to be spared. 1 .. 1000; 1000 when it joins.
struct NodeShare {
  NodeId node;
  std::uint32_t permille = 1000;
};
struct StageReady {
  StageId stage;
};
struct StageFailed {
  StageId stage;
  ErrorCode code;
  std::string message;
};
// The answer to FetchShard; that it failed is told by StageFailed.
struct ShardFetched {
  StageId stage;
};
// All rows of the step are through the last stage. Its tokens follow as TokenSampled events, one for each row that
// wanted logits; no further step is formed until all of them are there, so that their rows travel together again.
struct StepDone {
  Epoch epoch;
  StepId step;
  Duration busy{};           // through stages and links, without waiting in queues; 0: not known, as the others
  Duration slowest_stage{};  // computing in the stage that took longest
  Duration link{};           // the mean of the links it went over
  struct Computed {
    StageId stage;
    Duration time{};
  };
  std::vector<Computed> stages;  // what computing took in each; may be empty
};
// A stage could not compute the step (out of memory, rows out of order): the plan's KV cannot be trusted any more.
// kUnavailable: a link broke, nothing was computed wrongly. kNotFound, of a Replay: the journal has not all of the
// rows.
struct StepFailed {
  Epoch epoch;
  StepId step;
  ErrorCode code;
  std::string message;
};
// `request` names the sequence for its owner, and is what Emit carries; chosen by the caller, not zero, never reused.
struct SequenceArrived {
  std::uint64_t request = 0;
  std::vector<Token> prompt;        // at least one token
  std::uint32_t tokens_max = 0;     // answer length limit, at least 1; clipped to what the context leaves
  std::uint32_t logits_wanted = 1;  // 1 .. : best n; UINT32_MAX: all
};
// The owner chose tokens from the logits of a sequence's rows in this step, row after row (sampled.h): at least one,
// one more than the drafts at the most, and each but the last is the draft that stood behind its row (SendStep). Comes
// after the step's StepDone; none comes of rows that were computed for a text that has become another. `ends`: the last
// one ends the generation (it is not emitted as text, and no row is sent for it).
struct TokenSampled {
  Epoch epoch;
  StepId step;
  std::uint64_t request = 0;
  std::vector<Token> tokens;
  bool ends = false;
};
struct SequenceCancelled {
  std::uint64_t request = 0;
};
// The answer to AskDrafts. A model that is behind with reading a text, or has no room for it, guesses nothing for it.
struct Drafted {
  struct Text {
    std::uint64_t request = 0;
    std::vector<Token> tokens;  // what may follow the text; as many as were asked for, or fewer
  };
  std::uint64_t ask = 0;
  std::vector<Text> texts;
  Duration took{};
};
struct Timer {};

using Event = std::variant<NodeJoined, NodeLost, NodePaused, NodeShare, StageReady, StageFailed, ShardFetched, StepDone,
                           StepFailed, SequenceArrived, TokenSampled, SequenceCancelled, Drafted, Timer>;

// --- actions ---

struct LoadStage {
  NodeId node;
  StageId stage;
  LayerRange range;
  std::uint32_t lane = 0;
};
struct DropStage {
  NodeId node;
  StageId stage;
};
// The node is to have the shard on flash, and to load nothing: it is spare, and may need it one day. Also ended by
// DropStage.
struct FetchShard {
  NodeId node;
  StageId stage;  // never a stage of a plan
  LayerRange range;
};
// Sent to every node in it once all its stages are chosen (before they load): links can be dialled meanwhile. A stage
// that is loaded already keeps its StageId; for its node only the epoch (and perhaps a neighbour) is new.
struct PlannedPlan {
  struct Stage {
    NodeId node;
    StageId stage;
    LayerRange range;
    std::uint64_t memory_bytes = 0;
  };
  Epoch epoch;
  std::vector<Stage> stages;
  std::string explanation;
  std::string why;  // of a plan that was not needed at once; else ""
  std::uint32_t lane = 0;
};
// In force from now on in its lane, instead of the one before.
struct PublishPlan {
  PlannedPlan plan;
};
// The lane's plan is dead and none takes its place: what is under way of it is void, and does not count where it comes
// back.
struct WithdrawPlan {
  Epoch epoch;
  std::uint32_t lane = 0;
};
struct Row {
  SequenceId sequence;
  std::uint64_t request = 0;
  std::uint32_t position = 0;
  Token token = 0;
  std::uint32_t logits = 0;  // 0: none
};
struct SendStep {
  Epoch epoch;
  StepId step;
  NodeId node;  // of the first stage
  StageId stage;
  std::vector<Row> rows;  // may be empty when there are frees. A sequence's rows stand together; drafts behind its last
  StageId ends_at;        // none: at the last stage, as usual; else its rows only fill the KV of the stages up to this
  std::vector<SequenceId> frees;        // KV to drop on every stage before the rows
  std::vector<Fork> forks;              // then
  std::vector<Truncation> truncations;  // then: at most one of a sequence, which has rows in this step
};
// The stage sends on, as a step, what it once computed for these rows: so that the stages from its successor to
// `ends_at` get them into their KV. They free the sequence first where `first` is 0. Answered as any step.
struct Replay {
  Epoch epoch;
  StepId step;
  NodeId node;
  StageId stage;
  StageId ends_at;
  SequenceId sequence;
  std::uint64_t request = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;  // 1 .. kStepRowsMax
};
// With Limits::draft_model: texts to be read on, and what is to be guessed of how they continue. Those of a sequence
// that has ended (Emit) may be forgotten.
struct AskDrafts {
  struct Text {
    std::uint64_t request = 0;
    std::uint32_t from = 0;     // position of tokens[0]; all before it has been told
    std::vector<Token> tokens;  // to the newest one
    std::uint32_t count = 0;    // how many tokens to guess behind it
  };
  std::uint64_t ask = 0;  // to be answered by a Drafted of this number; 0: only to be read, by and by
  std::vector<Text> texts;
};
// kError codes: kInvalidArgument (the request can never work), kResourceExhausted (too many waiting), kUnavailable (no
// plan for plan_wait_max; the planner's sentence on missing memory), or the code of the step that failed.
enum class EmitKind { kToken, kEnd, kError };
enum class FinishReason { kStop, kLength, kCancelled };
struct Emit {
  std::uint64_t request = 0;
  EmitKind kind = EmitKind::kToken;
  Token token = 0;                            // kToken
  FinishReason reason = FinishReason::kStop;  // kEnd
  std::uint32_t cached_tokens = 0;            // kEnd: of the prompt, found in the KV and not computed again
  std::uint32_t answer_tokens = 0;            // kEnd: emitted in all
  Error error;                                // kError
};
// One timer is enough: this replaces the one set before. nullopt: none. The Timer event may come for nothing: a timer
// is not put off with every step, but set again when it has fired.
struct SetTimer {
  std::optional<Time> at;
};

// For people: a sequence goes on in another lane, from its tokens.
struct SequenceMoved {
  std::uint64_t request = 0;
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::string why;
};

using Action = std::variant<PublishPlan, LoadStage, DropStage, FetchShard, SendStep, Replay, AskDrafts, Emit, SetTimer,
                            WithdrawPlan, SequenceMoved>;

// --- what a person may want to know ---

enum class PlanState { kNone, kLoading, kServing };

struct Snapshot {
  PlanState state = PlanState::kNone;
  std::optional<PlannedPlan> plan;
  std::string why_none;       // why there is no plan, in one line ("" when there is one)
  std::string move;           // the plan that is being made ready, and why; "": none
  std::string why_no_move;    // why the plan stays as it is, when a quicker one was looked for last; "": none was
  std::uint64_t moves = 0;    // plans that were made ready while another served, since the start
  std::string why_not_moved;  // why a node that is to rest hosts a stage still; "": none does, or not for long
  std::uint32_t sequences_live = 0;  // admitted to the pipeline
  std::uint32_t sequences_waiting = 0;
  std::uint32_t steps_in_flight = 0;
  std::uint64_t kv_tokens_reserved = 0;
  std::uint64_t drafts_sent = 0;
  std::uint64_t drafts_accepted = 0;
  std::uint64_t model_drafts_sent = 0;  // of them, the draft model's
  std::uint64_t model_drafts_accepted = 0;
  std::uint64_t cached_tokens = 0;        // of prompts, found in the KV and not computed again, since the start
  std::uint32_t sequences_refilling = 0;  // live, and waiting for a stage that takes the place of another
  std::uint64_t sequences_resumed = 0;    // under a new plan, from what the stages still had, since the start
  std::uint64_t sequences_restarted = 0;  // under a new plan, from their tokens
  // With several lanes, all above is of all of them, and `plan` is that of the first that has one. Of each lane, then:
  std::vector<Snapshot> lanes;
  std::uint32_t nodes = 0;
  std::uint64_t sequences_moved = 0;   // from a lane to another
  std::vector<std::string> decisions;  // the newest ones last: who went where, and why
};

class Scheduler {
 public:
  Scheduler(plan::ModelShape model, const Limits& limits);
  ~Scheduler();

  // `now` never goes back. At most O(nodes + sequences + rows) actions; a token costs O(log sequences).
  std::vector<Action> on(const Event& event, Time now);
  Snapshot snapshot() const;
  std::vector<Outlook> outlooks(Time now) const;  // of each lane

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shoal::sched
