// Which nodes hold the model together, where several pipelines are to serve beside each other. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "plan/planner.h"

namespace shoal::plan {

struct Group {
  std::vector<NodeProfile> nodes;
  std::size_t spares = 0;  // of them, that are to get no layers
};

// Divides the nodes into groups that can each hold the model: as many as possible, `groups_max` at the most, of about
// the same rate (of the same memory while no rate is known). Each node is in one of them. Where the model fits on
// none, or on all of them together only, that is one group. `rules.spares` nodes, those with the smallest budgets, are
// dealt out where the others can hold as many groups.
//
// Groups are of one kernel family where that makes no fewer of them, or where the rules ask for it: a begun answer may
// then go from one to another. The best division is not searched for: nodes go, the largest first, to the group that
// has least.
std::vector<Group> divide(const ModelShape& model, std::vector<NodeProfile> nodes, const PlanRules& rules,
                          std::size_t groups_max);

}  // namespace shoal::plan
