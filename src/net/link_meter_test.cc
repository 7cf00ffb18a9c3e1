// Goal: what the meter says of a way is what the way is, and whatever a peer does, a measurement ends. How: ways that
// exist in a simulation only, with a delay and a rate, on a clock that the test moves.
#include "net/link_meter.h"

#include <map>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/test_loop.h"

namespace shoal::net {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class TestClock final : public Clock {
 public:
  Time now() const override { return time; }
  std::int64_t unix_seconds() const override { return 0; }
  Time time{1s};
};

const NodeId kPeer{Sha256::of({})};

class LinkMeterTest : public ::testing::Test {
 protected:
  // Serves probes one after another at `rate_`, and answers each a round trip after it has left.
  LinkMeter::Way way() {
    return {kPeer,
            [this](const wire::LinkProbe& probe, const std::shared_ptr<const Bytes>& raw) {
              const std::size_t bytes = raw ? raw->size() : 0;
              ++sent_;
              unanswered_bytes_ += bytes;
              unanswered_bytes_max_ = std::max(unanswered_bytes_max_, unanswered_bytes_);
              free_ = std::max(free_, clock_.time) +
                      Duration(static_cast<std::int64_t>(static_cast<double>(bytes) / rate_ * 1e6));
              answers_.emplace(free_ + rtt_, std::pair{probe.probe, bytes});
            },
            [this] { return queued_bytes_; }};
  }
  void start() {
    meter_.start(way(), [this](Result<LinkSpeed> speed) {
      EXPECT_FALSE(speed_) << "called back twice";
      speed_ = std::move(speed);
    });
    EXPECT_FALSE(speed_) << "called back from inside the call";
  }
  // The next answer arrives; false when none is on its way.
  bool step() {
    if (answers_.empty()) return false;
    const auto [at, answer] = *answers_.begin();
    answers_.erase(answers_.begin());
    clock_.time = std::max(clock_.time, at);
    unanswered_bytes_ -= answer.second;
    meter_.on_probed(kPeer, {answer.first});
    return true;
  }
  LinkSpeed measure() {
    start();
    while (step()) {
    }
    EXPECT_TRUE(speed_ && speed_->ok());
    return speed_ && speed_->ok() ? **speed_ : LinkSpeed{};
  }

  boost::asio::io_context io_;
  TestClock clock_;
  LinkMeter meter_{io_, clock_, 200ms};
  Duration rtt_ = 10ms;
  double rate_ = 1e6;
  std::size_t queued_bytes_ = 0;
  std::multimap<Time, std::pair<std::uint64_t, std::size_t>> answers_;
  Time free_{};
  int sent_ = 0;
  std::size_t unanswered_bytes_ = 0, unanswered_bytes_max_ = 0;
  std::optional<Result<LinkSpeed>> speed_;
};

// From a bad 2 Mbit/s to a cable; it may be told as slower where it takes many round trips to be filled.
TEST_F(LinkMeterTest, RoundTripAndRateAreTheWays) {
  for (const double rate : {250e3, 1e6, 12.5e6, 125e6}) {
    for (const Duration rtt : {Duration(200us), Duration(4ms), Duration(20ms)}) {
      SCOPED_TRACE(fmt::format("{} bytes/s, {} us", rate, rtt.count()));
      rate_ = rate;
      rtt_ = rtt;
      speed_.reset();
      const LinkSpeed speed = measure();
      EXPECT_EQ(speed.rtt, rtt);
      EXPECT_LE(speed.bytes_per_s, rate * 1.02);
      const double bytes_of_a_round_trip = rate * static_cast<double>(rtt.count()) / 1e6;
      const std::size_t bytes_in_flight_max = std::size_t{kProbesInFlightMax} * wire::kProbeBytesMax;
      const bool soon_full = 4 * bytes_of_a_round_trip < static_cast<double>(bytes_in_flight_max);
      EXPECT_GE(speed.bytes_per_s, soon_full ? rate * 0.75 : 0);
    }
  }
}

TEST_F(LinkMeterTest, ASlowWayIsNotFilledWithMoreThanItHasCarried) {
  rate_ = 100e3;
  measure();
  EXPECT_LE(unanswered_bytes_max_, 2 * wire::kProbeBytesMax);
  EXPECT_LT(clock_.time - Time(1s), 3s);
}

TEST_F(LinkMeterTest, AFastWayIsHeldToItsBounds) {
  rate_ = 1e12;
  rtt_ = 1us;
  measure();
  EXPECT_LE(unanswered_bytes_max_, kProbesInFlightMax * wire::kProbeBytesMax);
  EXPECT_LE(static_cast<std::size_t>(sent_), kRttProbes + kRateBytesMax / wire::kProbeBytesMax);
}

TEST_F(LinkMeterTest, TheMedianRoundTripIsTold) {
  start();
  int answered = 0;
  while (!speed_ && !answers_.empty()) {
    rtt_ = ++answered < 4 ? Duration(300ms) : Duration(10ms);  // Wi-Fi that wakes up
    step();
  }
  ASSERT_TRUE(speed_ && speed_->ok());
  EXPECT_EQ((*speed_)->rtt, 10ms);
}

TEST_F(LinkMeterTest, NothingIsAddedToAQueueThatIsFull) {
  queued_bytes_ = kQueuedBytesMax;
  start();
  while (step()) {
  }
  ASSERT_TRUE(speed_ && !speed_->ok());
  EXPECT_EQ(speed_->error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(speed_->error().message, HasSubstr("32.0 MiB"));
  EXPECT_EQ(unanswered_bytes_max_, 0u);
}

TEST_F(LinkMeterTest, APeerThatDoesNotAnswerEndsIt) {
  start();
  ASSERT_TRUE(test::run_until(io_, [&] { return speed_.has_value(); }));
  ASSERT_FALSE(speed_->ok());
  EXPECT_EQ(speed_->error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_FALSE(meter_.running());
}

TEST_F(LinkMeterTest, WhatWasAnsweredBeforeTheDeadlineCounts) {
  start();
  while (unanswered_bytes_ == 0) ASSERT_TRUE(step());
  ASSERT_TRUE(step());  // one block; those that follow stay unanswered
  ASSERT_TRUE(test::run_until(io_, [&] { return speed_.has_value(); }));
  ASSERT_TRUE(speed_->ok());
  EXPECT_NEAR((*speed_)->bytes_per_s, rate_, rate_ * 0.02);
}

TEST_F(LinkMeterTest, OnlyThePeersOwnAnswersInTurnCount) {
  start();
  const auto probe = answers_.begin()->second.first;
  meter_.on_probed(NodeId{Sha256::of(as_bytes("another"))}, {probe});
  meter_.on_probed(kPeer, {probe + 1});
  meter_.on_probed(kPeer, {probe - 1});
  EXPECT_EQ(sent_, 1);
  meter_.cancel();
  answers_.clear();
  start();
  meter_.on_probed(kPeer, {probe});  // of the measurement before
  EXPECT_EQ(sent_, 2);
  step();
  EXPECT_EQ(sent_, 3);
}

TEST_F(LinkMeterTest, ACancelledOneIsSilent) {
  start();
  meter_.cancel();
  EXPECT_FALSE(meter_.running());
  EXPECT_TRUE(step());
  io_.run_for(300ms);
  EXPECT_FALSE(speed_);
}

}  // namespace
}  // namespace shoal::net
