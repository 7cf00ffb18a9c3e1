// Which tensors are matrices that a graph multiplies with, and how many bytes of each weight type a model has: what the
// choice of kernels depends on.
#pragma once

#include <vector>

#include "base/stage_spec.h"
#include "model/manifest.h"

namespace shoal::model {

// Weights that graphs only multiply with (the embedding may be the output too).
bool is_matrix(const Tensor& tensor);

// By type, ascending; matrices only. Empty for a model without any.
std::vector<WeightType> weight_types(const Manifest& manifest);

}  // namespace shoal::model
