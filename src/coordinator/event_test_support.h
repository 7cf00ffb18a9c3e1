// For the tests of events: a clock that the test moves, and ids of nodes by name.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/ids.h"

namespace shoal::coordinator::test {

class ManualClock final : public Clock {
 public:
  Time now() const override { return now_; }
  std::int64_t unix_seconds() const override { return unix_ms() / 1000; }
  std::int64_t unix_ms() const override {
    return 1'800'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  }
  void advance(Duration by) { now_ += by; }

 private:
  Time now_{std::chrono::hours(1)};
};

inline NodeId node_id(std::string_view name) {
  return NodeId{Sha256::of(as_bytes(name))};
}

}  // namespace shoal::coordinator::test
