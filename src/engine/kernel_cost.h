// What exactness costs on this device; asked by the coordinator, which decides for all stages (ExactMode::kAuto).
#pragma once

#include <functional>
#include <span>

#include "base/stage_spec.h"

namespace shoal::engine {

// How much more time the exact kernels take for a model with so many bytes of these types (model/weight_types.h),
// measured on small matrices of each type: decode (1 row) three parts and prefill (63 rows) one part, because an answer
// spends most of its time in decode. Keeps one core busy for a while (1.4 s for the types of a Q4_K_M file on a busy
// desktop processor), so it asks `stop` before each measurement; once that says so, the result means nothing. Types
// that this build does not know are left aside.
KernelCost measure_kernel_cost(std::span<const WeightType> types, const std::function<bool()>& stop = nullptr);

}  // namespace shoal::engine
