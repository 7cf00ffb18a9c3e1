#include "plan/replicas.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

namespace shoal::plan {
namespace {

using Nodes = std::vector<NodeProfile>;
using Measure = std::function<double(const NodeProfile&)>;

double memory_of(const NodeProfile& node) {
  return static_cast<double>(node.memory_bytes_max);
}

double rate_of(const NodeProfile& node) {
  return node.weights_per_s * node.share;
}

// Whoever has least gets the next largest.
std::vector<Nodes> deal(Nodes nodes, std::size_t groups, const Measure& measure) {
  std::stable_sort(nodes.begin(), nodes.end(),
                   [&](const NodeProfile& a, const NodeProfile& b) { return measure(a) > measure(b); });
  std::vector<Nodes> dealt(groups);
  std::vector<double> has(groups, 0);
  for (NodeProfile& node : nodes) {
    const auto least = static_cast<std::size_t>(std::min_element(has.begin(), has.end()) - has.begin());
    has[least] += measure(node);
    dealt[least].push_back(std::move(node));
  }
  return dealt;
}

bool each_can_hold(const ModelShape& model, const std::vector<Nodes>& groups, const PlanRules& rules) {
  return std::all_of(groups.begin(), groups.end(),
                     [&](const Nodes& group) { return !group.empty() && make_plan(model, group, rules).ok(); });
}

// Empty: they cannot hold the model, together or not.
std::vector<Nodes> divide_all(const ModelShape& model, const Nodes& nodes, const PlanRules& rules,
                              std::size_t groups_max) {
  const bool measured = std::all_of(nodes.begin(), nodes.end(), [](const auto& node) { return rate_of(node) > 0; });
  for (std::size_t groups = std::min(groups_max, nodes.size()); groups > 0; --groups) {
    for (const Measure& measure : {Measure(measured ? rate_of : memory_of), Measure(memory_of)}) {
      auto dealt = deal(nodes, groups, measure);
      if (each_can_hold(model, dealt, rules)) return dealt;
    }
  }
  return {};
}

// Nodes of families that cannot hold the model alone go to the first group, as its spares.
std::vector<Nodes> divide_by_family(const ModelShape& model, const Nodes& nodes, const PlanRules& rules,
                                    std::size_t groups_max) {
  std::map<std::string, Nodes> by_family;
  for (const NodeProfile& node : nodes) by_family[node.kernel_family].push_back(node);
  std::vector<Nodes> all;
  Nodes left;
  for (const auto& [name, family] : by_family) {
    auto groups =
        all.size() < groups_max ? divide_all(model, family, rules, groups_max - all.size()) : std::vector<Nodes>();
    if (groups.empty()) left.insert(left.end(), family.begin(), family.end());
    std::move(groups.begin(), groups.end(), std::back_inserter(all));
  }
  if (!all.empty()) all.front().insert(all.front().end(), left.begin(), left.end());
  return all;
}

std::vector<Nodes> divide_nodes(const ModelShape& model, const Nodes& nodes, const PlanRules& rules,
                                std::size_t groups_max) {
  auto by_family = divide_by_family(model, nodes, rules, groups_max);
  if (rules.one_kernel_family || by_family.size() == groups_max) return by_family;
  auto all = divide_all(model, nodes, rules, groups_max);
  return all.size() > by_family.size() ? all : by_family;
}

}  // namespace

std::vector<Group> divide(const ModelShape& model, std::vector<NodeProfile> nodes, const PlanRules& rules,
                          std::size_t groups_max) {
  if (nodes.empty()) return {};
  std::sort(nodes.begin(), nodes.end(), [](const NodeProfile& a, const NodeProfile& b) {
    return std::pair(b.memory_bytes_max, a.node) < std::pair(a.memory_bytes_max, b.node);
  });
  PlanRules of_group = rules;
  of_group.spares = 0;
  groups_max = std::max<std::size_t>(groups_max, 1);
  auto groups = divide_nodes(model, nodes, of_group, groups_max);
  Nodes spares;
  for (std::size_t count = std::min(rules.spares, nodes.size() - 1); count > 0 && spares.empty(); --count) {
    const Nodes rest(nodes.begin(), nodes.end() - static_cast<std::ptrdiff_t>(count));
    auto without = divide_nodes(model, rest, of_group, groups_max);
    if (without.size() < groups.size()) continue;
    groups = std::move(without);
    spares.assign(nodes.end() - static_cast<std::ptrdiff_t>(count), nodes.end());
  }
  if (groups.empty()) return {{std::move(nodes), 0}};
  std::vector<Group> divided;
  for (Nodes& group : groups) divided.push_back({std::move(group), 0});
  for (std::size_t i = 0; i < spares.size(); ++i) {
    Group& group = divided[i % divided.size()];
    group.nodes.push_back(std::move(spares[i]));
    ++group.spares;
  }
  return divided;
}

}  // namespace shoal::plan
