// How a model is cut over nodes that stand in a given order: the best split there is, by dynamic programming.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/stage_spec.h"
#include "plan/planner.h"

namespace shoal::plan {

inline constexpr double kImpossible = std::numeric_limits<double>::infinity();

// Sizes do not overflow: what is too large to count is as large as can be.
inline std::uint64_t add_bytes(std::uint64_t a, std::uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

// The model between two neighbouring allowed cuts: the smallest thing that can be placed.
class Pieces {
 public:
  explicit Pieces(const ModelShape& model) : model_(model) {
    std::uint64_t sum = 0;
    std::uint64_t weights = 0;
    for (std::uint32_t layer = 0; layer <= model.layer_count; ++layer) {
      if (layer == 0 || layer == model.layer_count || model.cut_allowed[layer]) {
        cuts_.push_back(layer);
        bytes_before_.push_back(sum);
        weights_before_.push_back(weights);
      }
      if (layer == model.layer_count) break;
      sum = add_bytes(sum, add_bytes(model.layer_weight_bytes[layer], model.layer_kv_bytes[layer]));
      weights = add_bytes(weights, model.layer_weight_bytes[layer]);
    }
  }

  std::size_t count() const { return cuts_.size() - 1; }
  LayerRange range(std::size_t from, std::size_t to) const { return {cuts_[from], cuts_[to]}; }
  // A stage that holds pieces [from, to).
  std::uint64_t stage_bytes(std::size_t from, std::size_t to) const {
    std::uint64_t bytes = add_bytes(bytes_before_[to] - bytes_before_[from], model_.every_stage_bytes);
    if (from == 0) bytes = add_bytes(bytes, model_.first_stage_bytes);
    if (to == count()) bytes = add_bytes(bytes, model_.last_stage_bytes);
    return bytes;
  }
  // What it goes through for each row.
  double work_bytes(std::size_t from, std::size_t to) const {
    const std::uint64_t ends = to == count() ? model_.last_stage_bytes : 0;
    return static_cast<double>(add_bytes(weights_before_[to] - weights_before_[from], ends));
  }
  // What must be held somewhere, without what each stage adds.
  std::uint64_t total_bytes() const {
    return add_bytes(bytes_before_.back(), add_bytes(model_.first_stage_bytes, model_.last_stage_bytes));
  }

 private:
  const ModelShape& model_;
  std::vector<std::uint32_t> cuts_;
  std::vector<std::uint64_t> bytes_before_;
  std::vector<std::uint64_t> weights_before_;
};

// What a node has to offer. `rate`: 0 where no node was measured.
struct Budget {
  std::uint64_t bytes = 0;
  double rate = 0;
};

// The slowest stage first, then how full all of them are.
struct Cost {
  double slowest = kImpossible;
  double fullness = kImpossible;

  bool possible() const { return fullness != kImpossible; }
  bool operator<(const Cost& other) const {
    return slowest != other.slowest ? slowest < other.slowest : fullness < other.fullness;
  }
  // Of both one after the other.
  Cost with(const Cost& other) const { return {std::max(slowest, other.slowest), fullness + other.fullness}; }
};

struct Split {
  Cost cost;
  std::vector<std::size_t> ends;  // where each node's pieces end, in pipeline order
};

// Over nodes in this order, each with at least one piece; at least one node, and as many pieces.
Split best_split(const Pieces& pieces, std::span<const Budget> budgets);

}  // namespace shoal::plan
