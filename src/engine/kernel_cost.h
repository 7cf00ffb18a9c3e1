// What exactness costs on this device; asked by the coordinator, which decides for all stages (ExactMode::kAuto).
#pragma once

#include <span>

#include "base/stage_spec.h"

namespace shoal::engine {

// How much more time the exact kernels take for a model with so many bytes of these types (model/weight_types.h),
// measured on small matrices of each type: decode (1 row) three parts and prefill (63 rows) one part, because an answer
// spends most of its time in decode. A second of one core at most. Types that this build does not know are left aside.
KernelCost measure_kernel_cost(std::span<const WeightType> types);

}  // namespace shoal::engine
