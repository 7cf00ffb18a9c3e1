#include "engine/kernel_cost.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/kernel_probe.h"
#include "ggml.h"

namespace shoal::engine {

KernelCost measure_kernel_cost(std::span<const WeightType> types, const std::function<bool()>& stop) {
  constexpr double kDecodePart = 0.75;
  KernelCost result;
  std::vector<std::pair<WeightType, bool>> known;  // and whether the exact kernels are others than the fastest
  for (const WeightType& each : types) {
    if (stop && stop()) return {};
    if (each.type >= GGML_TYPE_COUNT || ggml_blck_size(static_cast<ggml_type>(each.type)) == 0) continue;
    const KernelVerdict verdict = probe_kernels(each.type);
    const bool differs = verdict.repack_exists ? !verdict.repack_exact : !verdict.tinyblas_exact;
    known.emplace_back(each, differs);
    if (!differs) continue;
    result.measured = true;
    result.left_out += fmt::format("{}{} {}", result.left_out.empty() ? "" : ", ",
                                   verdict.repack_exists ? "repacked" : "tinyBLAS", weight_type_name(each.type));
  }
  if (!result.measured) return result;
  for (const auto& [rows, part] : {std::pair{1u, kDecodePart}, std::pair{kStepRowsMax, 1 - kDecodePart}}) {
    double fast = 0;
    double exact = 0;
    for (const auto& [each, differs] : known) {
      if (stop && stop()) return {};
      const double per_byte =
          static_cast<double>(each.bytes) / static_cast<double>(ggml_row_size(static_cast<ggml_type>(each.type), 2048));
      const double type_fast = time_kernels(each.type, rows, false) * per_byte;
      fast += type_fast;
      exact += differs ? time_kernels(each.type, rows, true) * per_byte : type_fast;
    }
    if (fast > 0) result.cost += part * (exact / fast - 1);
  }
  result.cost = std::max(result.cost, 0.0);
  return result;
}

}  // namespace shoal::engine
