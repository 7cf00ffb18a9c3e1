// Whether values are numbers: what damaged weights compute is not, and must not reach another node or a sampler. Pure.
#pragma once

#include <cmath>
#include <limits>
#include <span>
#include <string_view>

namespace shoal::engine {

// One pass without branches, which compilers vectorise: small beside the matrix that made the values.
inline bool all_finite(std::span<const float> values) {
  int wrong = 0;
  for (float value : values) wrong |= !(std::fabs(value) <= std::numeric_limits<float>::max());
  return wrong == 0;
}

inline constexpr std::string_view kNotFinite =
    "the layers compute values that are no numbers: a tensor of the model file is damaged, get the file anew";

}  // namespace shoal::engine
