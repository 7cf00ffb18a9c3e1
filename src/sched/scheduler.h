// The scheduler: decides which micro-batch goes where and when. A pure state machine (docs/architecture.md §3).
//
//   actions = scheduler.on(event, now)
//
// It reads no clock, draws no random number, opens no socket, starts no thread; equal events give equal actions. The
// coordinator feeds it real events, src/sim simulated ones, a fuzz test anything: an event that makes no sense (stale
// epoch, unknown id, a repetition) changes nothing.
//
// Invariants, checked by the simulation:
//  - For each sequence the rows sent through a pipeline have positions 0, 1, 2, ... without gap or repetition.
//  - A row that wants logits is sent only after every earlier token of its sequence is known.
//  - At most steps_in_flight_max steps are in a pipeline, at most rows_per_step_max rows in a step, and at most
//    sequences_max sequences and kv_tokens_total cells (prompt + answer limit of each, reserved on admission) in its KV.
//  - A sequence ends with exactly one Emit of kind kEnd or kError; tokens are emitted in order, none twice.
//  - A new plan has a new epoch; what belongs to an older one is ignored. Sequences alive when a plan dies are computed
//    again from their tokens under the next one: their clients see a pause.
//  - A sequence freed in the KV is named in the `frees` of exactly one later step of the same epoch.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
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

struct Limits {
  StageSettings settings;                       // sequences_max, kv_tokens_total, context_tokens_max
  std::uint32_t rows_per_step_max = kStepRowsMax;
  std::uint32_t prompt_rows_per_step = 32;      // chunk of a prompt
  std::uint32_t waiting_sequences_max = 256;    // beyond: kResourceExhausted to the caller (429)
  Duration plan_wait_max = std::chrono::seconds(60);   // a live sequence without any feasible plan for so long ends with kUnavailable
  Duration plan_settle = std::chrono::milliseconds(300);  // after a node joins, wait so long for more before planning
  Duration load_wait_max = std::chrono::minutes(30);   // a stage that is not ready by then counts as failed
  std::uint32_t nodes_min = 1;                  // plan only when so many nodes are there (`serve --nodes N`)
};

// --- events ---

struct NodeJoined {
  plan::NodeProfile profile;
};
struct NodeLost {
  NodeId node;
};
struct StageReady {
  StageId stage;
};
struct StageFailed {
  StageId stage;
  ErrorCode code;
  std::string message;
};
// All rows of the step are through the last stage. Its tokens follow as TokenSampled events, one for each row that
// wanted logits.
struct StepDone {
  Epoch epoch;
  StepId step;
};
// A stage could not compute the step (out of memory, rows out of order): the plan's KV cannot be trusted any more.
struct StepFailed {
  Epoch epoch;
  StepId step;
  ErrorCode code;
  std::string message;
};
// `request` names the sequence for its owner, and is what Emit carries; chosen by the caller, not zero, never reused.
struct SequenceArrived {
  std::uint64_t request = 0;
  std::vector<Token> prompt;      // at least one token
  std::uint32_t tokens_max = 0;   // answer length limit, at least 1
  std::uint32_t logits_wanted = 1;  // 1 .. : best n; UINT32_MAX: all
};
// The owner chose a token from the row's logits. `ends`: this token ends the generation (it is not emitted as text, and
// no row is sent for it).
struct TokenSampled {
  Epoch epoch;
  StepId step;
  std::uint64_t request = 0;
  Token token = 0;
  bool ends = false;
};
struct SequenceCancelled {
  std::uint64_t request = 0;
};
struct Timer {};

using Event = std::variant<NodeJoined, NodeLost, StageReady, StageFailed, StepDone, StepFailed, SequenceArrived,
                           TokenSampled, SequenceCancelled, Timer>;

// --- actions ---

struct LoadStage {
  NodeId node;
  StageId stage;
  LayerRange range;
  bool is_first = false;
  bool is_last = false;
};
struct DropStage {
  NodeId node;
  StageId stage;
};
// Sent to every node in it once all its stages are chosen (before they load): links can be dialled meanwhile.
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
};
struct PublishPlan {
  PlannedPlan plan;
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
  NodeId node;      // of the first stage
  StageId stage;
  std::vector<Row> rows;            // may be empty when there are frees
  std::vector<SequenceId> frees;    // KV to drop on every stage before the rows
};
enum class EmitKind { kToken, kEnd, kError };
enum class FinishReason { kStop, kLength, kCancelled };
struct Emit {
  std::uint64_t request = 0;
  EmitKind kind = EmitKind::kToken;
  Token token = 0;                              // kToken
  FinishReason reason = FinishReason::kStop;    // kEnd
  Error error;                                  // kError
};
// One timer is enough: this replaces the one set before. nullopt: none.
struct SetTimer {
  std::optional<Time> at;
};

using Action = std::variant<PublishPlan, LoadStage, DropStage, SendStep, Emit, SetTimer>;

// --- what a person may want to know ---

enum class PlanState { kNone, kLoading, kServing };

struct Snapshot {
  PlanState state = PlanState::kNone;
  std::optional<PlannedPlan> plan;
  std::string why_none;                 // why there is no plan, in one line ("" when there is one)
  std::uint32_t sequences_live = 0;     // admitted to the pipeline
  std::uint32_t sequences_waiting = 0;
  std::uint32_t steps_in_flight = 0;
  std::uint64_t kv_tokens_reserved = 0;
};

class Scheduler {
 public:
  Scheduler(plan::ModelShape model, Limits limits);
  ~Scheduler();

  std::vector<Action> on(const Event& event, Time now);
  Snapshot snapshot() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shoal::sched
