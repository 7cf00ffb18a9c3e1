// Dialling and accepting links. One Transport a process: it holds the identity and the TLS contexts.
//
// A listener calls `on_link` for every peer that finished the TLS handshake and sent its first frame; that frame
// decides what the link is. Before that frame a peer is held to kFirstFrameMax time, an unknown one also to
// kJoinMessageBytesMax bytes, and the number of half-open links is bounded by kPendingLinksMax: a new one pushes out
// the oldest, so that a flood of them does not keep paired nodes out. `is_paired` says whether a key is known: a peer
// that is not may only send a JoinRequest; any other first frame gets a Reject (kUnauthenticated) and closes the link.
// A first frame of another protocol version gets a Reject too (kVersionMismatch). What went wrong before `on_link` is
// logged, one line a peer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "net/identity.h"
#include "net/link.h"

namespace shoal::net {

inline constexpr std::size_t kPendingLinksMax = 64;
inline constexpr Duration kFirstFrameMax = std::chrono::seconds(5);

// The bounds of links, for tests that cannot wait or fill queues as long as the real ones.
struct TransportLimits {
  std::size_t pending_links_max = kPendingLinksMax;
  Duration first_frame_max = kFirstFrameMax;
  std::size_t send_queue_bytes_max = kSendQueueBytesMax;
  Duration ping_interval = kPingInterval;
  Duration idle_ping_interval = kIdlePingInterval;
  Duration silence_max = kSilenceMax;
};

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
  std::string text() const;                              // "[::1]:7420" for IPv6
  static Result<Endpoint> parse(std::string_view text);  // "host:port", "[v6]:port"
};

class Listener {
 public:
  virtual ~Listener() = default;  // stops accepting, drops half-open links; links already handed out live on
  virtual Endpoint endpoint() const = 0;
};

class Transport {
 public:
  using OnLink = std::function<void(std::shared_ptr<Link>, wire::Frame first)>;
  using IsPaired = std::function<bool(const NodeId&)>;
  using OnDialled = std::function<void(Result<std::shared_ptr<Link>>)>;

  Transport(boost::asio::io_context& io, Identity identity, TransportLimits limits = {});
  ~Transport();  // gives up dialling without a call back; listeners and links live on
  Transport(const Transport&) = delete;

  const Identity& identity() const;

  // kAlreadyExists: the port is in use (says which). kInvalidArgument: the host is no address of this machine (a number
  // or "localhost"). Port 0 takes a free one.
  Result<std::unique_ptr<Listener>> listen(const Endpoint& endpoint, IsPaired is_paired, OnLink on_link);

  // Resolves, connects, shakes hands, checks that the peer's key is `expected` (kUnauthenticated otherwise) and hands
  // over a link that is not started yet. Called back once, within `deadline`, never from inside dial().
  // kUnavailable: nobody there; kDeadlineExceeded: no answer in time; kCorrupt: what answers does not speak TLS 1.3.
  void dial(const Endpoint& endpoint, const NodeId& expected, Duration deadline, OnDialled done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Addresses of this machine that peers on the LAN may reach it at: IPv4 and global IPv6 of interfaces that are up,
// private ranges first, loopback last. At most wire::kAddressesMax.
std::vector<std::string> local_addresses();

}  // namespace shoal::net
