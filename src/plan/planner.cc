#include "plan/planner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace shoal::plan {
namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();
constexpr std::uint64_t kBytesMax = std::numeric_limits<std::uint64_t>::max();

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return a > kBytesMax - b ? kBytesMax : a + b;
}

// The model between two neighbouring allowed cuts: the smallest thing that can be placed.
class Pieces {
 public:
  explicit Pieces(const ModelShape& model) : model_(model) {
    std::uint64_t sum = 0;
    for (std::uint32_t layer = 0; layer <= model.layer_count; ++layer) {
      if (layer == 0 || layer == model.layer_count || model.cut_allowed[layer]) {
        cuts_.push_back(layer);
        bytes_before_.push_back(sum);
      }
      if (layer < model.layer_count) sum = add(sum, add(model.layer_weight_bytes[layer], model.layer_kv_bytes[layer]));
    }
  }

  std::size_t count() const { return cuts_.size() - 1; }
  LayerRange range(std::size_t from, std::size_t to) const { return {cuts_[from], cuts_[to]}; }
  // A stage that holds pieces [from, to).
  std::uint64_t stage_bytes(std::size_t from, std::size_t to) const {
    std::uint64_t bytes = add(bytes_before_[to] - bytes_before_[from], model_.every_stage_bytes);
    if (from == 0) bytes = add(bytes, model_.first_stage_bytes);
    if (to == count()) bytes = add(bytes, model_.last_stage_bytes);
    return bytes;
  }
  // What must be held somewhere, without what each stage adds.
  std::uint64_t total_bytes() const {
    return add(bytes_before_.back(), add(model_.first_stage_bytes, model_.last_stage_bytes));
  }

 private:
  const ModelShape& model_;
  std::vector<std::uint32_t> cuts_;
  std::vector<std::uint64_t> bytes_before_;
};

double stage_cost(const Pieces& pieces, std::uint64_t budget, std::size_t from, std::size_t to) {
  const std::uint64_t bytes = pieces.stage_bytes(from, to);
  if (bytes > budget) return kImpossible;
  const double full = static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(budget, 1));
  return full * full;
}

struct Split {
  double cost = kImpossible;
  std::vector<std::size_t> ends;  // where each node's pieces end, in pipeline order
};

// The best split of all pieces over `budgets` in this order, each node with at least one piece.
Split best_split(const Pieces& pieces, std::span<const std::uint64_t> budgets) {
  const std::size_t nodes = budgets.size();
  const std::size_t width = pieces.count() + 1;
  std::vector<double> cost(width, kImpossible);
  std::vector<std::uint32_t> from_table(nodes * width, 0);
  cost[0] = 0;
  for (std::size_t node = 0; node < nodes; ++node) {
    std::vector<double> next(width, kImpossible);
    const std::size_t to_max = pieces.count() - (nodes - 1 - node);  // one piece is left for each node behind
    for (std::size_t to = node + 1; to <= to_max; ++to) {
      // Longer stages only get fuller: the first that does not fit ends the search.
      for (std::size_t from = to; from-- > node;) {
        const double stage = stage_cost(pieces, budgets[node], from, to);
        if (stage == kImpossible) break;
        if (cost[from] + stage < next[to]) {
          next[to] = cost[from] + stage;
          from_table[node * width + to] = static_cast<std::uint32_t>(from);
        }
      }
    }
    cost = std::move(next);
  }
  Split split{cost[pieces.count()], std::vector<std::size_t>(nodes)};
  if (split.cost == kImpossible) return split;
  std::size_t end = pieces.count();
  for (std::size_t node = nodes; node-- > 0;) {
    split.ends[node] = end;
    end = from_table[node * width + end];
  }
  return split;
}

// The orders of `count` nodes that are tried; index 0 is the largest budget.
constexpr std::size_t kOrders = 4;
std::vector<std::size_t> pipeline_order(std::size_t kind, std::size_t count) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  if (kind >= 2 && count >= 2) std::rotate(order.begin() + 1, order.begin() + 2, order.end());  // 0 2 3 .. 1
  if (kind % 2 == 1) std::reverse(order.begin(), order.end());
  return order;
}

struct Candidate {
  Split split;
  std::vector<std::size_t> order;
};

// With the `count` largest nodes, all of them hosting something.
std::optional<Candidate> best_of_orders(const Pieces& pieces, const std::vector<NodeProfile>& nodes,
                                        std::size_t count) {
  std::optional<Candidate> best;
  for (std::size_t kind = 0; kind < kOrders; ++kind) {
    std::vector<std::size_t> order = pipeline_order(kind, count);
    std::vector<std::uint64_t> budgets;
    for (std::size_t index : order) budgets.push_back(nodes[index].memory_bytes_max);
    Split split = best_split(pieces, budgets);
    if (split.cost == kImpossible || (best && split.cost >= best->split.cost)) continue;
    best = Candidate{std::move(split), std::move(order)};
  }
  return best;
}

std::uint64_t usable_bytes(const ModelShape& model, const NodeProfile& node) {
  return node.memory_bytes_max - std::min(node.memory_bytes_max, model.every_stage_bytes);
}

// `nodes` by budget, largest first. As many of them as can take part together.
std::optional<Candidate> best_candidate(const ModelShape& model, const Pieces& pieces,
                                        const std::vector<NodeProfile>& nodes) {
  std::uint64_t piece_min = kBytesMax;
  for (std::size_t i = 0; i < pieces.count(); ++i) piece_min = std::min(piece_min, pieces.stage_bytes(i, i + 1));
  std::vector<std::uint64_t> usable_of_largest = {0};
  for (const NodeProfile& node : nodes) {
    if (node.memory_bytes_max < piece_min) break;  // no node from here on can hold anything
    usable_of_largest.push_back(add(usable_of_largest.back(), usable_bytes(model, node)));
  }
  for (std::size_t count = std::min(usable_of_largest.size() - 1, pieces.count()); count > 0; --count) {
    if (usable_of_largest[count] < pieces.total_bytes()) break;  // fewer nodes offer even less
    if (auto candidate = best_of_orders(pieces, nodes, count)) return candidate;
  }
  return std::nullopt;
}

std::string nodes_text(std::size_t count) {
  return fmt::format("{} node{}", count, count == 1 ? "" : "s");
}

std::string need_text(const ModelShape& model, const Pieces& pieces) {
  std::string text = "the model needs " + format_size(pieces.total_bytes());
  if (model.kv_tokens_total > 0) text += fmt::format(" with {} tokens of KV", model.kv_tokens_total);
  return text;
}

std::string offer_text(const ModelShape& model, std::size_t nodes, std::uint64_t usable) {
  std::string text = fmt::format("{} offer{} {}", nodes_text(nodes), nodes == 1 ? "s" : "", format_size(usable));
  if (model.every_stage_bytes > 0) {
    text += fmt::format(" beyond the {} that a stage itself takes on each", format_size(model.every_stage_bytes));
  }
  return text;
}

// The smallest addition to every node, to the MiB, with which some cut would fit.
std::uint64_t missing_on_each(const ModelShape& model, const Pieces& pieces, const std::vector<NodeProfile>& nodes) {
  constexpr std::uint64_t kMiB = 1u << 20;
  std::uint64_t too_little = 0;  // in MiB
  std::uint64_t enough = pieces.total_bytes() / kMiB + 1;
  while (too_little + 1 < enough) {
    const std::uint64_t middle = too_little + (enough - too_little) / 2;
    std::vector<NodeProfile> larger = nodes;
    for (NodeProfile& node : larger) node.memory_bytes_max = add(node.memory_bytes_max, middle * kMiB);
    (best_candidate(model, pieces, larger) ? enough : too_little) = middle;
  }
  return enough * kMiB;
}

// Why nothing fits: too little in sum, one piece too large for any node, or sizes that do not go together.
Error does_not_fit(const ModelShape& model, const Pieces& pieces, const std::vector<NodeProfile>& nodes) {
  std::uint64_t usable = 0;
  for (const NodeProfile& node : nodes) usable = add(usable, usable_bytes(model, node));
  const std::string need = need_text(model, pieces);
  const std::string offer = offer_text(model, nodes.size(), usable);
  if (usable < pieces.total_bytes()) {
    return {ErrorCode::kResourceExhausted, fmt::format("{}, {}: {} missing; add a node or lower --context", need, offer,
                                                       format_size(pieces.total_bytes() - usable))};
  }
  std::size_t largest = 0;
  for (std::size_t i = 1; i < pieces.count(); ++i) {
    if (pieces.stage_bytes(i, i + 1) > pieces.stage_bytes(largest, largest + 1)) largest = i;
  }
  const std::uint64_t piece_bytes = pieces.stage_bytes(largest, largest + 1);
  const std::uint64_t budget_max = nodes.front().memory_bytes_max;
  if (piece_bytes > budget_max) {
    return {ErrorCode::kResourceExhausted,
            fmt::format("{}, {}, but layers {} alone take {} and the largest node offers {}: {} missing there; add a "
                        "larger node or lower --context",
                        need, offer, pieces.range(largest, largest + 1).text(), format_size(piece_bytes),
                        format_size(budget_max), format_size(piece_bytes - budget_max))};
  }
  return {ErrorCode::kResourceExhausted,
          fmt::format("{}, {}, but no cut between whole layers fits: {} missing on each; add a node or lower --context",
                      need, offer, format_size(missing_on_each(model, pieces, nodes)))};
}

Status check(const ModelShape& model, const std::vector<NodeProfile>& nodes) {
  const auto invalid = [](std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; };
  if (model.layer_count == 0) return invalid("the model has no layers to place");
  if (model.layer_weight_bytes.size() != model.layer_count || model.layer_kv_bytes.size() != model.layer_count ||
      model.cut_allowed.size() != std::size_t{model.layer_count} + 1) {
    return invalid(fmt::format("the model's shape is inconsistent: sizes for its {} layers are missing or too many",
                               model.layer_count));
  }
  if (nodes.empty()) return invalid("there is no node to place the model on; add one with `shoal join`");
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (nodes[i].node == nodes[j].node) return invalid("node " + nodes[i].node.short_hex() + " is there twice");
    }
  }
  return {};
}

std::string name_of(const NodeProfile& node) {
  return node.name.empty() ? node.node.short_hex() : node.name;
}

std::string explain(const Plan& plan, const std::vector<NodeProfile>& nodes, const std::vector<std::size_t>& order,
                    std::uint32_t layer_count) {
  std::size_t fullest = 0;
  auto fullness = [&](std::size_t i) {
    return static_cast<double>(plan.stages[i].memory_bytes) /
           static_cast<double>(std::max<std::uint64_t>(nodes[order[i]].memory_bytes_max, 1));
  };
  for (std::size_t i = 1; i < plan.stages.size(); ++i) {
    if (fullness(i) > fullness(fullest)) fullest = i;
  }
  const PlannedStage& stage = plan.stages[fullest];
  const NodeProfile& node = nodes[order[fullest]];
  std::string text = fmt::format("{} {} {} layers; the fullest is {} with layers {} ({} of {}, {:.0f} %)",
                                 nodes_text(plan.stages.size()), plan.stages.size() == 1 ? "holds" : "hold",
                                 layer_count, name_of(node), stage.range.text(), format_size(stage.memory_bytes),
                                 format_size(node.memory_bytes_max), 100.0 * fullness(fullest));
  if (!plan.left_out.empty()) {
    text += fmt::format("; {} left out: {}", nodes_text(plan.left_out.size()),
                        plan.stages.size() == layer_count ? "there are no more layers to share"
                                                          : "too small, or no cut is left for more");
  }
  return text;
}

// `nodes` is not empty; all of them may take part.
Result<Plan> plan_over(const ModelShape& model, std::vector<NodeProfile> nodes) {
  std::sort(nodes.begin(), nodes.end(), [](const NodeProfile& a, const NodeProfile& b) {
    return a.memory_bytes_max != b.memory_bytes_max ? a.memory_bytes_max > b.memory_bytes_max : a.node < b.node;
  });
  const Pieces pieces(model);
  const auto best = best_candidate(model, pieces, nodes);
  if (!best) return does_not_fit(model, pieces, nodes);

  Plan plan;
  std::size_t from = 0;
  for (std::size_t i = 0; i < best->order.size(); ++i) {
    const std::size_t to = best->split.ends[i];
    plan.stages.push_back({nodes[best->order[i]].node, pieces.range(from, to), pieces.stage_bytes(from, to)});
    from = to;
  }
  for (std::size_t i = best->order.size(); i < nodes.size(); ++i) plan.left_out.push_back(nodes[i].node);
  plan.explanation = explain(plan, nodes, best->order, model.layer_count);
  return plan;
}

struct Family {
  std::uint64_t memory_bytes = 0;
  std::vector<NodeProfile> nodes;
};

// Those that the rules allow, most memory first.
std::vector<Family> families_of(const std::vector<NodeProfile>& nodes, const PlanRules& rules) {
  std::map<std::string, Family> by_name;
  for (const NodeProfile& node : nodes) {
    if (rules.kernel_family && node.kernel_family != *rules.kernel_family) continue;
    Family& family = by_name[node.kernel_family];
    family.memory_bytes = add(family.memory_bytes, node.memory_bytes_max);
    family.nodes.push_back(node);
  }
  std::vector<Family> families;
  for (auto& [name, family] : by_name) families.push_back(std::move(family));
  std::stable_sort(families.begin(), families.end(),
                   [](const Family& a, const Family& b) { return a.memory_bytes > b.memory_bytes; });
  return families;
}

Result<Plan> plan_in_one_family(const ModelShape& model, const std::vector<NodeProfile>& nodes,
                                const PlanRules& rules) {
  const std::vector<Family> families = families_of(nodes, rules);
  if (families.empty()) {
    return Error{ErrorCode::kResourceExhausted,
                 "no node of the kernel family is left in which the running answers began; bring one back"};
  }
  std::optional<Error> first_error;
  for (const Family& family : families) {
    Result<Plan> plan = plan_over(model, family.nodes);
    if (!plan.ok()) {
      if (!first_error) first_error = std::move(plan).error();
      continue;
    }
    std::size_t others = 0;
    for (const NodeProfile& node : nodes) {
      if (node.kernel_family == family.nodes.front().kernel_family) continue;
      plan->left_out.push_back(node.node);
      ++others;
    }
    if (others > 0) plan->explanation += fmt::format("; {} of another kernel family left out", nodes_text(others));
    return plan;
  }
  const std::size_t others = nodes.size() - families.front().nodes.size();
  if (others > 0) {
    first_error->message +=
        fmt::format(" ({} of another kernel family cannot help under --exact on)", nodes_text(others));
  }
  return *first_error;
}

}  // namespace

ModelShape ModelShape::of_equal_layers(std::uint32_t layer_count, std::uint64_t layer_weight_bytes) {
  ModelShape model;
  model.layer_count = layer_count;
  model.layer_weight_bytes.assign(layer_count, layer_weight_bytes);
  model.layer_kv_bytes.assign(layer_count, 0);
  model.cut_allowed.assign(layer_count + 1, true);
  return model;
}

Error no_node(const ModelShape& model) {
  return {ErrorCode::kUnavailable,
          fmt::format("no node is there, and {}; add one with `shoal join`", need_text(model, Pieces(model)))};
}

Result<Plan> make_plan(const ModelShape& model, std::vector<NodeProfile> nodes, const PlanRules& rules) {
  SHOAL_RETURN_IF_ERROR(check(model, nodes));
  return rules.one_kernel_family ? plan_in_one_family(model, nodes, rules) : plan_over(model, std::move(nodes));
}

}  // namespace shoal::plan
