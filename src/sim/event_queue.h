// Simulated time: what happens next, in order of (time, order of scheduling). One thread; no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace shoal::sim {

class EventQueue {
 public:
  Time now() const { return now_; }
  void at(Time time, std::function<void()> what) { queue_.push({std::max(time, now_), ++scheduled_, std::move(what)}); }
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  // The next thing happens, if it is due until `until`; else time is set to `until` and false returned.
  bool step(Time until) {
    if (queue_.empty() || queue_.top().time > until) {
      now_ = std::max(now_, until);
      return false;
    }
    now_ = queue_.top().time;
    std::function<void()> what =
        std::move(const_cast<Entry&>(queue_.top()).what);  // popped before anything compares it
    queue_.pop();
    what();
    return true;
  }

 private:
  struct Entry {
    Time time;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Entry& other) const {
      return time != other.time ? time > other.time : order > other.order;  // the queue's top is its greatest
    }
  };
  std::priority_queue<Entry> queue_;
  Time now_;
  std::uint64_t scheduled_ = 0;
};

}  // namespace shoal::sim
