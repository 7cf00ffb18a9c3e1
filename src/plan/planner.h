// The planner: which node hosts which layers. Pure: no I/O, no clock, no threads, no llama.cpp.
//
// While nothing was measured, every usable node gets layers in proportion to its memory: the sum over all stages of
// (bytes / budget)^2 is as small as can be, which evens out how full the nodes are. As many nodes as possible take
// part, those with the largest budgets first; each holds at least one piece between two allowed cuts.
//
// Once a node's rate is known, or some node is to be spared, the slowest stage is as quick as can be, because it
// decides how many tokens a second come out of a full pipeline; among such plans the sum above decides. A node whose
// rate is not known counts as if the measured ones' rate went with memory. Nodes that would only slow the others down
// are left out: those with the largest budgets or the highest rates take part, as many of them as pays.
//
// Where a node stands in the pipeline matters only through the ends, which also hold the embedding and the output. So
// four orders are tried: largest budget first, largest last, and the two largest at the two ends either way round; in
// each the split is the best there is (dynamic programming), and the best of the four is taken. Which nodes stand in
// the middle is indifferent where layers are of equal size. Cost O(nodes x cut points^2) while nothing was measured;
// then for each number of nodes that is tried, of which kWorseMax in a row may be worse than the best.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"

namespace shoal::plan {

// What the planner must know of a model; derived from its manifest by the coordinator.
struct ModelShape {
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;
  std::vector<std::uint64_t> layer_weight_bytes;  // size layer_count
  std::vector<std::uint64_t> layer_kv_bytes;      // size layer_count: at the settings' kv_tokens_total and KV type
  std::uint64_t first_stage_bytes = 0;            // weights that only the first stage holds (embedding)
  std::uint64_t last_stage_bytes = 0;             // weights that only the last stage holds (norm, output)
  std::uint64_t every_stage_bytes = 0;            // compute buffers and weights that each stage holds
  std::vector<bool> cut_allowed;                  // size layer_count + 1, see model::Manifest; the ends are allowed
  std::uint32_t kv_tokens_total = 0;              // what layer_kv_bytes was computed for; only for messages

  double work_bytes(LayerRange range) const;  // weights that a stage goes through for each row

  // Layers of equal weight and nothing else, to be cut between any two.
  static ModelShape of_equal_layers(std::uint32_t layer_count, std::uint64_t layer_weight_bytes);
};

// What a device can do; more fields as telemetry learns them.
struct NodeProfile {
  NodeId node;
  std::string name;
  std::uint64_t memory_bytes_max = 0;
  std::string kernel_family = {};  // engine::kernel_family(); nodes that differ in it give other bits
  double weights_per_s = 0;        // bytes of a stage's weights that it goes through in steps of one row; 0: unknown
  double share = 1;                // of its rate that it is to be given, above 0: less where it has to be spared

  std::string label() const { return name.empty() ? node.short_hex() : name; }  // for people
};

// What a plan must keep to besides memory.
struct PlanRules {
  // All stages on nodes of one kernel family (`--exact on`): of those that can hold the model the one with most memory.
  bool one_kernel_family = false;
  // Only this one, because answers that have begun must keep their bits. Means nothing without one_kernel_family.
  std::optional<std::string> kernel_family = {};
  // So many nodes are left without layers, to take over from others, where the rest can hold the model.
  std::size_t spares = 0;
};

struct PlannedStage {
  NodeId node;
  LayerRange range;
  std::uint64_t memory_bytes = 0;  // predicted
  bool operator==(const PlannedStage&) const = default;
};

struct Plan {
  std::vector<PlannedStage> stages;  // in pipeline order, covering all layers once
  std::vector<NodeId> left_out;      // nodes that host nothing
  std::string explanation;           // for a person: how many nodes hold it, the fullest, who was left out and why
};

// The order of `nodes` does not matter: equal inputs give equal plans. kResourceExhausted: it does not fit on all nodes
// together, or no cut does; the message says how much memory is missing where. kInvalidArgument: no nodes, the same
// node twice, an empty or inconsistent shape.
Result<Plan> make_plan(const ModelShape& model, std::vector<NodeProfile> nodes, const PlanRules& rules = {});

// Seconds that a row takes in the slowest of these stages, each on one of `nodes`, by their rates. Where none of them
// was measured: how full the fullest is, for what goes with memory. Comparable for the same `nodes` only.
double slowest_stage(const ModelShape& model, const std::vector<PlannedStage>& stages,
                     const std::vector<NodeProfile>& nodes);

// What to tell a person when there is no node at all: kUnavailable, with the memory that the model needs.
Error no_node(const ModelShape& model);

}  // namespace shoal::plan
