// For tests, here and in the folders above: an event loop that turns until something holds.
#pragma once

#include <chrono>
#include <functional>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace shoal::net::test {

// Turns the loop until `condition` holds; false, and a failure of the test, after its patience.
inline bool run_until(boost::asio::io_context& io, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  io.restart();
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline || (io.run_one_until(deadline) == 0 && io.stopped())) {
      ADD_FAILURE() << "the condition does not come true";
      return false;
    }
  }
  return true;
}

// Events of the loop, so that run_until looks again although nothing else happens; and the proof that the loop turns.
class Ticks {
 public:
  explicit Ticks(boost::asio::io_context& io) : timer_(io) { next(); }
  int count() const { return count_; }

 private:
  void next() {
    timer_.expires_after(std::chrono::milliseconds(2));
    timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      ++count_;
      next();
    });
  }
  boost::asio::steady_timer timer_;
  int count_ = 0;
};

}  // namespace shoal::net::test
