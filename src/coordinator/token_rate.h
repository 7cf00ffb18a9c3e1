// Tokens per second over the last ten seconds, in buckets of a second. Values only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/clock.h"

namespace shoal::coordinator {

class TokenRate {
 public:
  void add(Time now, std::uint32_t tokens) {
    auto second = second_of(now);
    auto& bucket = buckets_[second % buckets_.size()];
    if (bucket.second != second) bucket = {second, 0};
    bucket.tokens += tokens;
    if (first_second_ == 0) first_second_ = second;
  }
  double per_second(Time now) const {
    auto second = second_of(now);
    std::uint64_t tokens = 0;
    for (const auto& bucket : buckets_) {
      if (bucket.second + buckets_.size() > second) tokens += bucket.tokens;
    }
    auto seconds = first_second_ == 0 ? 1 : std::clamp<std::uint64_t>(second - first_second_ + 1, 1, buckets_.size());
    return static_cast<double>(tokens) / static_cast<double>(seconds);
  }

 private:
  struct Bucket {
    std::uint64_t second = 0;
    std::uint64_t tokens = 0;
  };
  static std::uint64_t second_of(Time now) {
    return static_cast<std::uint64_t>(
               std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()) +
           1;
  }
  std::array<Bucket, 10> buckets_{};
  std::uint64_t first_second_ = 0;
};

}  // namespace shoal::coordinator
