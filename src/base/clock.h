// Time as Shoal's parts see it: microseconds since some start, from a Clock that main() or a simulation hands in.
#pragma once

#include <chrono>
#include <cstdint>

namespace shoal {

using Duration = std::chrono::microseconds;
struct ShoalEpoch {  // the monotonic clock's own zero; means nothing across processes
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<ShoalEpoch>;
  static constexpr bool is_steady = true;
};
using Time = ShoalEpoch::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;                                           // monotonic
  virtual std::int64_t unix_seconds() const = 0;                          // wall clock, for what outlives the process
  virtual std::int64_t unix_ms() const { return unix_seconds() * 1000; }  // the same, finer where the clock is
};

class SystemClock final : public Clock {
 public:
  Time now() const override {
    return Time(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
  }
  std::int64_t unix_seconds() const override {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::int64_t unix_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace shoal
