#include "plan/planner.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "plan/split.h"

namespace shoal::plan {
namespace {

constexpr std::size_t kWorseMax = 3;  // numbers of nodes that are tried on though they gave nothing better

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
  std::vector<std::size_t> order;  // of the nodes that take part, through the pipeline
};

using Nodes = std::vector<NodeProfile>;
using Budgets = std::vector<Budget>;  // of the same nodes

// What each node offers. One that was not measured counts as if rates went with memory.
Budgets budgets_of(const Nodes& nodes) {
  std::vector<double> per_byte;
  bool spared = false;
  for (const NodeProfile& node : nodes) {
    spared = spared || node.share < 1;
    if (node.weights_per_s > 0 && node.memory_bytes_max > 0) {
      per_byte.push_back(node.weights_per_s / static_cast<double>(node.memory_bytes_max));
    }
  }
  double middle = spared ? 1 : 0;
  if (!per_byte.empty()) {
    const auto at = per_byte.begin() + static_cast<std::ptrdiff_t>(per_byte.size() / 2);
    std::nth_element(per_byte.begin(), at, per_byte.end());
    middle = *at;
  }
  Budgets budgets;
  for (const NodeProfile& node : nodes) {
    const double assumed = middle * static_cast<double>(node.memory_bytes_max);
    budgets.push_back({node.memory_bytes_max, node.share * (node.weights_per_s > 0 ? node.weights_per_s : assumed)});
  }
  return budgets;
}

// With the first `count` of these nodes, all of them hosting something.
std::optional<Candidate> best_of_orders(const Pieces& pieces, const Budgets& budgets,
                                        const std::vector<std::size_t>& nodes, std::size_t count) {
  std::optional<Candidate> best;
  for (std::size_t kind = 0; kind < kOrders; ++kind) {
    std::vector<std::size_t> order = pipeline_order(kind, count);
    Budgets in_order;
    for (std::size_t& index : order) {
      index = nodes[index];
      in_order.push_back(budgets[index]);
    }
    Split split = best_split(pieces, in_order);
    if (!split.cost.possible() || (best && !(split.cost < best->split.cost))) continue;
    best = Candidate{std::move(split), std::move(order)};
  }
  return best;
}

std::uint64_t usable_bytes(const ModelShape& model, std::uint64_t budget) {
  return budget - std::min(budget, model.every_stage_bytes);
}

// Of these nodes, the first so many: as many as can take part together, or of those numbers the best.
std::optional<Candidate> best_of_counts(const ModelShape& model, const Pieces& pieces, const Budgets& budgets,
                                        const std::vector<std::size_t>& nodes, std::size_t count_max) {
  std::vector<std::uint64_t> usable_of_first = {0};
  for (std::size_t index : nodes) {
    usable_of_first.push_back(add_bytes(usable_of_first.back(), usable_bytes(model, budgets[index].bytes)));
  }
  std::optional<Candidate> best;
  std::size_t worse = 0;
  for (std::size_t count = std::min({nodes.size(), pieces.count(), count_max}); count > 0; --count) {
    if (usable_of_first[count] < pieces.total_bytes()) break;  // fewer nodes offer even less
    auto candidate = best_of_orders(pieces, budgets, nodes, count);
    if (!candidate) continue;
    if (best && !(candidate->split.cost < best->split.cost)) {
      if (++worse == kWorseMax) break;
      continue;
    }
    worse = 0;
    best = std::move(candidate);
    if (budgets.front().rate == 0) break;
  }
  return best;
}

// `budgets` by bytes, largest first.
std::optional<Candidate> best_candidate(const ModelShape& model, const Pieces& pieces, const Budgets& budgets,
                                        std::size_t count_max) {
  std::uint64_t piece_min = UINT64_MAX;
  for (std::size_t i = 0; i < pieces.count(); ++i) piece_min = std::min(piece_min, pieces.stage_bytes(i, i + 1));
  std::vector<std::size_t> nodes;
  for (std::size_t i = 0; i < budgets.size() && budgets[i].bytes >= piece_min; ++i) nodes.push_back(i);
  auto best = best_of_counts(model, pieces, budgets, nodes, count_max);
  if (budgets.front().rate == 0) return best;
  std::stable_sort(nodes.begin(), nodes.end(),
                   [&](std::size_t a, std::size_t b) { return budgets[a].rate > budgets[b].rate; });
  auto quickest = best_of_counts(model, pieces, budgets, nodes, count_max);
  if (quickest && (!best || quickest->split.cost < best->split.cost)) return quickest;
  return best;
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
    Budgets larger;
    for (const NodeProfile& node : nodes) larger.push_back({add_bytes(node.memory_bytes_max, middle * kMiB), 0});
    (best_candidate(model, pieces, larger, larger.size()) ? enough : too_little) = middle;
  }
  return enough * kMiB;
}

// Why nothing fits: too little in sum, one piece too large for any node, or sizes that do not go together.
Error does_not_fit(const ModelShape& model, const Pieces& pieces, const std::vector<NodeProfile>& nodes) {
  std::uint64_t usable = 0;
  for (const NodeProfile& node : nodes) usable = add_bytes(usable, usable_bytes(model, node.memory_bytes_max));
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

// "" where no host of a stage was measured.
std::string slowest_text(const ModelShape& model, const Plan& plan, const Nodes& nodes,
                         const std::vector<std::size_t>& order) {
  std::string text;
  double slowest = 0;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const NodeProfile& node = nodes[order[i]];
    const LayerRange range = plan.stages[i].range;
    const double seconds = node.weights_per_s > 0 ? model.work_bytes(range) / node.weights_per_s : 0;
    if (seconds <= slowest) continue;
    slowest = seconds;
    text = fmt::format("; the slowest is {} with layers {}, {:.1f} ms a token", node.label(), range.text(),
                       1000 * seconds);
  }
  return text;
}

std::string explain(const ModelShape& model, const Plan& plan, const Nodes& nodes, const Candidate& chosen) {
  const std::vector<std::size_t>& order = chosen.order;
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
                                 model.layer_count, node.label(), stage.range.text(), format_size(stage.memory_bytes),
                                 format_size(node.memory_bytes_max), 100.0 * fullness(fullest));
  text += slowest_text(model, plan, nodes, order);
  if (!plan.left_out.empty()) {
    text += fmt::format("; {} left out: {}", nodes_text(plan.left_out.size()),
                        plan.stages.size() == model.layer_count ? "there are no more layers to share"
                        : chosen.split.cost.slowest > 0         ? "spare, too small, or too slow to help"
                                                                : "spare, too small, or no cut is left for more");
  }
  return text;
}

// `nodes` is not empty; all of them may take part.
Result<Plan> plan_over(const ModelShape& model, Nodes nodes, std::size_t spares) {
  std::sort(nodes.begin(), nodes.end(), [](const NodeProfile& a, const NodeProfile& b) {
    return a.memory_bytes_max != b.memory_bytes_max ? a.memory_bytes_max > b.memory_bytes_max : a.node < b.node;
  });
  const Pieces pieces(model);
  const Budgets budgets = budgets_of(nodes);
  std::optional<Candidate> best;
  for (std::size_t count_max = nodes.size() - std::min(spares, nodes.size() - 1); !best && count_max <= nodes.size();
       ++count_max) {
    best = best_candidate(model, pieces, budgets, count_max);
  }
  if (!best) return does_not_fit(model, pieces, nodes);

  Plan plan;
  std::set<std::size_t> taken;
  std::size_t from = 0;
  for (std::size_t i = 0; i < best->order.size(); ++i) {
    const std::size_t to = best->split.ends[i];
    plan.stages.push_back({nodes[best->order[i]].node, pieces.range(from, to), pieces.stage_bytes(from, to)});
    taken.insert(best->order[i]);
    from = to;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!taken.contains(i)) plan.left_out.push_back(nodes[i].node);
  }
  plan.explanation = explain(model, plan, nodes, *best);
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
    family.memory_bytes = add_bytes(family.memory_bytes, node.memory_bytes_max);
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
    Result<Plan> plan = plan_over(model, family.nodes, rules.spares);
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

double ModelShape::work_bytes(LayerRange range) const {
  double bytes = range.last == layer_count ? static_cast<double>(last_stage_bytes) : 0;
  for (std::uint32_t i = range.first; i < range.last; ++i) bytes += static_cast<double>(layer_weight_bytes[i]);
  return bytes;
}

double slowest_stage(const ModelShape& model, const std::vector<PlannedStage>& stages,
                     const std::vector<NodeProfile>& nodes) {
  const Budgets budgets = budgets_of(nodes);
  double slowest = 0;
  for (const PlannedStage& stage : stages) {
    const auto host =
        std::find_if(nodes.begin(), nodes.end(), [&](const auto& node) { return node.node == stage.node; });
    SHOAL_ASSERT(host != nodes.end());
    const Budget& budget = budgets[static_cast<std::size_t>(host - nodes.begin())];
    const double rate = budget.rate > 0 ? budget.rate : static_cast<double>(budget.bytes);
    slowest = std::max(slowest, model.work_bytes(stage.range) / rate);
  }
  return slowest;
}

Error no_node(const ModelShape& model) {
  return {ErrorCode::kUnavailable,
          fmt::format("no node is there, and {}; add one with `shoal join`", need_text(model, Pieces(model)))};
}

Result<Plan> make_plan(const ModelShape& model, std::vector<NodeProfile> nodes, const PlanRules& rules) {
  SHOAL_RETURN_IF_ERROR(check(model, nodes));
  return rules.one_kernel_family ? plan_in_one_family(model, nodes, rules)
                                 : plan_over(model, std::move(nodes), rules.spares);
}

}  // namespace shoal::plan
