#include "plan/activation_choice.h"

namespace shoal::plan {
namespace {

constexpr double kToSpare = 0.8;
constexpr double kGainMin = 0.1;

}  // namespace

ActivationType choose_activation_type(const ActivationLink& link, ActivationType now) {
  if (link.bytes_per_s <= 0 || link.chunk_compute <= Duration::zero()) return ActivationType::kF32;
  const auto compute_us = static_cast<double>(link.chunk_compute.count());
  double f32_us = 0, chosen_us = 0;
  ActivationType chosen = ActivationType::kF32;
  for (const auto type : {ActivationType::kF32, ActivationType::kF16, ActivationType::kQ8_0}) {
    const auto row_bytes = activation_row_bytes(type, link.embedding_length);
    if (!row_bytes) continue;
    chosen = type;
    chosen_us = static_cast<double>(*row_bytes * kActivationChunkRows) / link.bytes_per_s * 1e6;
    if (type == ActivationType::kF32) f32_us = chosen_us;
    if (chosen_us <= compute_us * (type < now ? kToSpare : 1)) break;
  }
  const double way_us = compute_us + f32_us + static_cast<double>(link.rtt.count()) / 2;
  return f32_us - chosen_us < kGainMin * way_us ? ActivationType::kF32 : chosen;
}

}  // namespace shoal::plan
