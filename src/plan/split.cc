#include "plan/split.h"

#include <algorithm>

namespace shoal::plan {
namespace {

Cost stage_cost(const Pieces& pieces, const Budget& budget, std::size_t from, std::size_t to) {
  const std::uint64_t bytes = pieces.stage_bytes(from, to);
  if (bytes > budget.bytes) return {};
  const double full = static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(budget.bytes, 1));
  return {budget.rate > 0 ? pieces.work_bytes(from, to) / budget.rate : 0, full * full};
}

}  // namespace

Split best_split(const Pieces& pieces, std::span<const Budget> budgets) {
  const std::size_t nodes = budgets.size();
  const std::size_t width = pieces.count() + 1;
  std::vector<Cost> cost(width);
  std::vector<std::uint32_t> from_table(nodes * width, 0);
  cost[0] = {0, 0};
  for (std::size_t node = 0; node < nodes; ++node) {
    std::vector<Cost> next(width);
    const std::size_t to_max = pieces.count() - (nodes - 1 - node);  // one piece is left for each node behind
    for (std::size_t to = node + 1; to <= to_max; ++to) {
      // Longer stages only get fuller: the first that does not fit ends the search.
      for (std::size_t from = to; from-- > node;) {
        const Cost stage = stage_cost(pieces, budgets[node], from, to);
        if (!stage.possible()) break;
        if (const Cost both = cost[from].with(stage); both < next[to]) {
          next[to] = both;
          from_table[node * width + to] = static_cast<std::uint32_t>(from);
        }
      }
    }
    cost = std::move(next);
  }
  Split split{cost[pieces.count()], std::vector<std::size_t>(nodes)};
  if (!split.cost.possible()) return split;
  std::size_t end = pieces.count();
  for (std::size_t node = nodes; node-- > 0;) {
    split.ends[node] = end;
    end = from_table[node * width + end];
  }
  return split;
}

}  // namespace shoal::plan
