// How long a stage's steps take lately: means in which a step counts 15/16 of the one after it, so about the last 16
// count. Values only.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace shoal::node {

class StepTimes {
 public:
  // A step that was computed; `rows` is not 0.
  void add(std::size_t rows, Duration computed) {
    constexpr double kKept = 15.0 / 16;
    steps_ = steps_ * kKept + 1;
    rows_ = rows_ * kKept + static_cast<double>(rows);
    us_ = us_ * kKept + static_cast<double>(computed.count());
  }
  std::optional<std::uint32_t> step_us() const { return mean_over(steps_); }
  std::optional<std::uint32_t> row_us() const { return mean_over(rows_); }

 private:
  std::optional<std::uint32_t> mean_over(double count) const {
    if (count <= 0) return std::nullopt;
    const double mean = us_ / count + 0.5;
    return mean < UINT32_MAX ? static_cast<std::uint32_t>(mean) : UINT32_MAX;
  }

  double steps_ = 0;
  double rows_ = 0;
  double us_ = 0;
};

}  // namespace shoal::node
