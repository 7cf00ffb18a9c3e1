// The state of the shoal as a person or a dashboard sees it: a snapshot without JSON. The API writes it as JSON
// (GET /shoal/v1/status), `shoal status` prints that. Values only; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/activations.h"
#include "base/ids.h"
#include "base/stage_spec.h"
#include "base/telemetry.h"
#include "coordinator/care.h"

namespace shoal::coordinator {

// An away node is paired and not connected now; it hosts nothing.
enum class NodeState { kConnected, kAway };
enum class StageState { kFetching, kLoading, kReady, kFailed };
enum class ClusterState { kNoPlan, kLoading, kServing };
// How hidden states get from a stage to the next: node to node, or through the coordinator (access-point isolation).
enum class LinkPath { kNone, kDirect, kRelay };

inline constexpr std::string_view to_string(NodeState state) {
  return state == NodeState::kConnected ? "connected" : "away";
}
inline constexpr std::string_view to_string(StageState state) {
  constexpr std::string_view kNames[] = {"fetching", "loading", "ready", "failed"};
  return kNames[static_cast<int>(state)];
}
inline constexpr std::string_view to_string(ClusterState state) {
  constexpr std::string_view kNames[] = {"no plan", "loading", "serving"};
  return kNames[static_cast<int>(state)];
}
inline constexpr std::string_view to_string(LinkPath path) {
  constexpr std::string_view kNames[] = {"none", "direct", "relay"};
  return kNames[static_cast<int>(path)];
}

// What a node told last, and how long ago.
struct NodeTelemetry {
  Telemetry told;
  double age_s = 0;
  std::vector<std::optional<LayerRange>> stage_ranges;  // of told.stages, in their order; nullopt: a stage that is gone
};

struct NodeStatus {
  NodeId id;
  std::string name;
  NodeState state = NodeState::kAway;
  std::uint64_t memory_bytes_max = 0;  // what the node offers
  std::vector<std::string> addresses;  // "host:port" where neighbours may dial it; empty: none known
  std::optional<LayerRange> range;     // of its stage in a plan in force
  std::size_t pipeline = 0;            // which, where it has one; as in ClusterStatus::pipelines
  std::optional<double> rtt_ms;        // coordinator to node
  std::int64_t paired_unix_seconds = 0;
  std::int64_t seen_unix_seconds = 0;  // last message
  bool paused = false;                 // by its owner
  CareVerdict care;                    // what may be asked of it by its battery, its heat and its owner's limits
  std::optional<NodeTelemetry> telemetry;
};

struct StageStatus {
  NodeId node;
  std::string node_name;
  LayerRange range;
  StageState state = StageState::kFetching;
  std::uint64_t bytes_done = 0;  // of the shard, while fetching
  std::uint64_t bytes_total = 0;
  std::uint64_t memory_planned_bytes = 0;       // the planner's prediction
  StageMemory memory;                           // measured; zeros until ready
  ExactnessReport exactness;                    // reason is empty until ready
  LinkPath to_next = LinkPath::kNone;           // kNone: the last stage, or not connected yet
  std::string error;                            // kFailed: why, one line
  ActivationType sends = ActivationType::kF32;  // hidden states to the next stage
};

struct PlanStatus {
  Epoch epoch;
  std::vector<StageStatus> stages;  // in pipeline order
  std::string explanation;
};

// Sums over the steps that came back since the coordinator started; what is not computing or queueing of a step's way
// is wire, links and the processes' own work.
struct StepTotals {
  std::uint64_t steps = 0;
  std::uint64_t hops = 0;      // links travelled: coordinator to first stage, stage to stage, last stage to coordinator
  std::uint64_t way_us = 0;    // from SendStep to its result
  std::uint64_t queue_us = 0;  // in stages' queues
  std::uint64_t compute_us = 0;  // in stages
};

struct ModelStatus {
  std::string name;
  std::string architecture;
  std::string quantization;
  std::uint32_t layer_count = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t context_tokens_max = 0;
};

// One of the pipelines that serve beside each other; without replicas there is one.
struct PipelineStatus {
  ClusterState state = ClusterState::kNoPlan;
  std::string why_no_plan;
  std::optional<PlanStatus> plan;
  std::uint32_t nodes = 0;  // its own: with a stage, or spare
  std::uint32_t sequences_live = 0;
  std::uint32_t sequences_waiting = 0;
  std::uint64_t prompt_rows_waiting = 0;  // of both
  std::string move;                       // the plan that is being made ready; "": none
  std::string why_no_move;  // why the plan stays as it is, when a quicker one was looked for last; "": none was
  std::string why_not_moved;
  // What a sequence would have of it, as measured; 0: nothing was measured yet. A token with so many live sequences,
  // with one more, and a row of a prompt.
  double token_ms = 0;
  double token_more_ms = 0;
  double prompt_row_ms = 0;
  double share = 1;  // of what its nodes could do, that they are to be given
};

struct ClusterStatus {
  ClusterState state = ClusterState::kNoPlan;  // of the pipeline that is best off
  std::string why_no_plan;                     // kNoPlan: what is missing, one line
  ModelStatus model;
  std::string coordinator_id;  // hex of its NodeId
  std::vector<NodeStatus> nodes;
  std::optional<PlanStatus> plan;         // of the first pipeline that has one
  std::vector<PipelineStatus> pipelines;  // at least one
  std::vector<std::string> decisions;     // which answers went to another pipeline, and why; the newest ones last
  std::uint64_t sequences_moved = 0;      // to another pipeline, since the start
  bool exact = false;                     // every stage proved it
  std::string exactness;                  // one line for people: "exact: ..." or "not exact: ..." with the reason
  std::uint32_t sequences_live = 0;
  std::uint32_t sequences_waiting = 0;
  std::uint32_t steps_in_flight = 0;
  std::uint64_t kv_tokens_reserved = 0;
  std::uint64_t kv_tokens_total = 0;
  double tokens_per_second = 0;        // generated, over the last 10 s, all sequences
  std::uint64_t tokens_generated = 0;  // since the coordinator started
  std::uint64_t tokens_prompt = 0;
  std::uint64_t drafts_sent = 0;  // tokens guessed ahead (sched/drafting.h), and those that came true
  std::uint64_t drafts_accepted = 0;
  std::string draft_model;              // its name; "": there is none
  std::uint64_t model_drafts_sent = 0;  // of the drafts, those of the draft model
  std::uint64_t model_drafts_accepted = 0;
  std::uint64_t tokens_cached = 0;        // of tokens_prompt, found in the KV and not computed again
  std::uint32_t sequences_refilling = 0;  // wait for a stage that takes the place of a lost one
  std::uint64_t sequences_resumed = 0;    // under a new plan, from what stages still had in their KV
  std::uint64_t sequences_restarted = 0;  // under a new plan, from their tokens
  std::string move;                       // the plan that is being made ready while this one serves; "": none
  std::uint64_t moves = 0;                // plans that came that way
  std::string why_not_moved;              // why a node that is paused or drained hosts a stage still; "": none does
  StepTotals step_totals;
  bool tracing = false;             // a trace is being recorded
  std::uint64_t relayed_bytes = 0;  // frames carried between nodes that reach each other through the coordinator only
  double uptime_s = 0;
};

}  // namespace shoal::coordinator
