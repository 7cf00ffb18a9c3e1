// Goal: the shaped link delays what it says, carries what it is given at the rate it says, takes another shape,
// and stalls (one way or both), cuts and resumes.
#include "support/link_shaper.h"

#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/write.hpp>

namespace shoal::tests {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = LinkShaper::Clock;
using std::chrono::milliseconds;

class LinkShaperTest : public ::testing::Test {
 protected:
  // A sender and a receiver at the two ends of a link of this shape.
  void make(LinkShape shape) {
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    shaper_ = std::make_shared<LinkShaper>(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0),
                                           acceptor.local_endpoint(), shape);
    shaper_->start();
    acceptor.non_blocking(true);
    sender_.connect(tcp::endpoint(asio::ip::address_v4::loopback(), shaper_->port()));
    ASSERT_TRUE(run_until([&] {
      error_code error;
      acceptor.accept(receiver_, error);
      return !error;
    }));
    for (tcp::socket* socket : {&sender_, &receiver_}) {
      socket->set_option(tcp::no_delay(true));
      socket->non_blocking(true);
    }
  }
  template <typename Condition>
  bool run_until(Condition condition, milliseconds patience = milliseconds(20000)) {
    const auto end = Clock::now() + patience;
    while (!condition()) {
      if (Clock::now() > end) return false;
      io_.restart();
      io_.run_one_for(milliseconds(1));
    }
    return true;
  }
  // What has arrived since the last call; sets ended_ at the end of the stream.
  std::size_t arrived(tcp::socket& socket, std::vector<char>* to = nullptr) {
    char buffer[65536];
    error_code error;
    const std::size_t size = socket.read_some(asio::buffer(buffer), error);
    if (error && error != asio::error::would_block) ended_ = true;
    if (to != nullptr) to->insert(to->end(), buffer, buffer + size);
    return size;
  }

  asio::io_context io_;
  std::shared_ptr<LinkShaper> shaper_;
  tcp::socket sender_{io_}, receiver_{io_};
  bool ended_ = false;
};

TEST_F(LinkShaperTest, DelaysEachWay) {
  make({.delay = milliseconds(20), .jitter = milliseconds(5)});
  for (int i = 0; i < 5; ++i) {
    const auto begin = Clock::now();
    sender_.write_some(asio::buffer("x", 1));
    ASSERT_TRUE(run_until([&] { return arrived(receiver_) == 1; }));
    EXPECT_GE(Clock::now() - begin, milliseconds(20));
    receiver_.write_some(asio::buffer("y", 1));
    ASSERT_TRUE(run_until([&] { return arrived(sender_) == 1; }));
    EXPECT_GE(Clock::now() - begin, milliseconds(40));
  }
}

TEST_F(LinkShaperTest, TakesAnotherShapeWhileItIsUsed) {
  make({});
  sender_.write_some(asio::buffer("x", 1));
  ASSERT_TRUE(run_until([&] { return arrived(receiver_) == 1; }));
  shaper_->reshape({.delay = milliseconds(20)});
  const auto begin = Clock::now();
  sender_.write_some(asio::buffer("y", 1));
  ASSERT_TRUE(run_until([&] { return arrived(receiver_) == 1; }));
  EXPECT_GE(Clock::now() - begin, milliseconds(20));
}

TEST_F(LinkShaperTest, KeepsItsRateAndTheOrderOfBytes) {
  constexpr double kRate_bit_s = 40e6;
  make({.delay = milliseconds(1), .jitter = milliseconds(3), .rate_bit_s = kRate_bit_s});
  std::vector<char> sent(2 << 20), got;
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761u >> 13);
  const auto begin = Clock::now();
  asio::async_write(sender_, asio::buffer(sent),
                    [&](error_code, std::size_t) { sender_.shutdown(tcp::socket::shutdown_send); });
  ASSERT_TRUE(run_until([&] { return arrived(receiver_, &got), ended_; }));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  EXPECT_TRUE(got == sent);
  const double rate = static_cast<double>(sent.size()) * 8 / seconds;
  EXPECT_GT(rate, 0.8 * kRate_bit_s);
  EXPECT_LT(rate, 1.2 * kRate_bit_s);
}

TEST_F(LinkShaperTest, StallsResumesAndIsCut) {
  make({});
  shaper_->stall(LinkShaper::kForth);
  sender_.write_some(asio::buffer("x", 1));
  EXPECT_FALSE(run_until([&] { return arrived(receiver_) == 1; }, milliseconds(50)));
  shaper_->resume();
  EXPECT_TRUE(run_until([&] { return arrived(receiver_) == 1; }));
  shaper_->cut();
  EXPECT_TRUE(run_until([&] { return arrived(receiver_), ended_; }));
  tcp::socket refused(io_);
  refused.connect(tcp::endpoint(asio::ip::address_v4::loopback(), shaper_->port()));
  refused.non_blocking(true);
  ended_ = false;
  EXPECT_TRUE(run_until([&] { return arrived(refused), ended_; }));
}

TEST_F(LinkShaperTest, StallsOneWay) {
  make({});
  shaper_->stall(LinkShaper::kBack);
  sender_.write_some(asio::buffer("x", 1));
  EXPECT_TRUE(run_until([&] { return arrived(receiver_) == 1; }));
  receiver_.write_some(asio::buffer("y", 1));
  EXPECT_FALSE(run_until([&] { return arrived(sender_) == 1; }, milliseconds(50)));
  shaper_->resume();
  EXPECT_TRUE(run_until([&] { return arrived(sender_) == 1; }));
}

// Who is gone cannot say so over a way on which nothing moves, and what is sent to it is lost.
TEST_F(LinkShaperTest, AnEndThatGoesIsNotSeenWhileItsWayStalls) {
  make({});
  sender_.write_some(asio::buffer("x", 1));
  ASSERT_TRUE(run_until([&] { return arrived(receiver_) == 1; }));
  shaper_->stall(LinkShaper::kBack);
  receiver_.set_option(asio::socket_base::linger(true, 0));
  receiver_.close();
  EXPECT_FALSE(run_until(
      [&] {
        error_code ignored;
        sender_.write_some(asio::buffer("x", 1), ignored);
        return arrived(sender_), ended_;
      },
      milliseconds(50)));
  shaper_->resume();
  EXPECT_TRUE(run_until([&] { return arrived(sender_), ended_; }));
}

TEST_F(LinkShaperTest, ConnectsOnlyWhereSomethingMovesForth) {
  tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  acceptor.non_blocking(true);
  const auto other = std::make_shared<LinkShaper>(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0),
                                                  acceptor.local_endpoint(), LinkShape{});
  other->start();
  other->stall(LinkShaper::kForth);
  tcp::socket dialler(io_), dialled(io_);
  dialler.connect(tcp::endpoint(asio::ip::address_v4::loopback(), other->port()));
  const auto accepted = [&] {
    error_code error;
    acceptor.accept(dialled, error);
    return !error;
  };
  EXPECT_FALSE(run_until(accepted, milliseconds(50)));
  other->resume();
  EXPECT_TRUE(run_until(accepted));
}

}  // namespace
}  // namespace shoal::tests
