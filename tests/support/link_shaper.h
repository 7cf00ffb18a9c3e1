// A link in user space, for kernels without netem: forwards TCP connections to one address, later and slower than they
// came.
//
// Each direction of the link delays every byte by `delay` and up to `jitter` more, keeps their order, and serves all
// connections from one rate. It can get another shape, stall (nothing moves, one way or both: also not the news that an
// end has gone), be cut (connections end, new ones too) and resume. Holds at most kQueueBytesMax a direction and
// connection: beyond that the sender's own TCP waits. Runs on the io_context's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/random.h"

namespace shoal::tests {

struct LinkShape {
  std::chrono::microseconds delay{0};   // one way
  std::chrono::microseconds jitter{0};  // uniform, on top of the delay
  double rate_bit_s = 0;                // each way; 0 is unlimited
};

class LinkShaper : public std::enable_shared_from_this<LinkShaper> {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kQueueBytesMax = 4u << 20;
  static constexpr int kForth = 0, kBack = 1, kWays = 2;  // forth: from who dials to who is dialled

  // Throws boost::system::system_error when it cannot listen.
  LinkShaper(boost::asio::io_context& io, const boost::asio::ip::tcp::endpoint& listen,
             boost::asio::ip::tcp::endpoint to, LinkShape shape, std::uint64_t seed = 1);
  ~LinkShaper() { cut(); }
  void start();

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void reshape(LinkShape shape) { shape_ = shape; }  // of what comes from now on
  void stall(int way) { stalled_[way] = true; }
  void cut();
  void resume();
  void end();  // stops listening and closes all

 private:
  class Connection;
  void accept();
  // When `bytes` that came now on this way arrive at its other end.
  Clock::time_point arrival(int way, std::size_t bytes);

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  const boost::asio::ip::tcp::endpoint to_;
  LinkShape shape_;
  SplitMix64 random_;
  Clock::time_point wire_free_[kWays] = {};  // when the last byte given to the wire has left it
  bool stalled_[kWays] = {}, cut_ = false;
  std::set<std::shared_ptr<Connection>> connections_;
};

}  // namespace shoal::tests
