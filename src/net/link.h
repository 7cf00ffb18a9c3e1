// A link: frames over TLS 1.3 over TCP with TCP_NODELAY, both sides authenticated by their keys (docs/architecture.md
// §4, §5).
//
// Everything runs on the io_context's one thread. Sending never blocks: frames are queued up to kSendQueueBytesMax; a
// peer that does not drain its queue loses the link (on_closed with kResourceExhausted). Raw bytes are encrypted
// straight from the buffer given. Frames queued while one handler runs leave in one write.
//
// A link is closed by close(), by the peer (kUnavailable), by the peer's Reject (its code and message), by a malformed
// frame (kCorrupt, after telling the peer by a Reject) or by silence: a Ping goes out whenever nothing was sent for
// kIdlePingInterval (kPingInterval on a warm link), on a warm link that is busy every kIdlePingInterval, and a link on
// which nothing arrived for kSilenceMax is closed (kDeadlineExceeded). The side that dialled does not ping before its
// first frame, which says what the link is. Pings, Pongs and Rejects are handled inside. A peer that is not paired may
// send Pings after its JoinRequest, nothing else.
//
// on_closed is called from the event loop, never from inside a method; after it, and after close(), no handler is
// called. Handlers may call any method of the link. A link whose last owner lets go of it is cut silently, unless it is
// closing.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/clock.h"
#include "base/ids.h"
#include "wire/frame.h"

namespace shoal::net {

inline constexpr std::size_t kSendQueueBytesMax = 256u << 20;
inline constexpr Duration kPingInterval =
    std::chrono::milliseconds(50);  // Wi-Fi power save begins after 100 ms of silence
inline constexpr Duration kIdlePingInterval = std::chrono::milliseconds(500);
inline constexpr Duration kSilenceMax = std::chrono::milliseconds(3000);
inline constexpr Duration kClosingMax = std::chrono::milliseconds(1000);

class Link : public std::enable_shared_from_this<Link> {
 public:
  struct Handlers {
    std::function<void(wire::Frame)> on_frame;
    std::function<void(const Error&)> on_closed;  // called once, also after close() (kCancelled)
  };

  virtual ~Link() = default;

  // Starts reading. Once.
  virtual void start(Handlers handlers) = 0;
  // Queues a frame; nothing happens on a closed link.
  virtual void send(const wire::Message& message, std::shared_ptr<const Bytes> raw = nullptr) = 0;
  // Queues an already encoded frame (relay).
  virtual void send_encoded(Bytes frame) = 0;
  // Sends a Reject and closes; on_closed gets `error`.
  virtual void reject(const Error& error) = 0;
  // Nothing more is received or queued; what is queued still goes out, for kClosingMax at the most.
  virtual void close() = 0;
  virtual bool is_open() const = 0;
  // A link that carries steps now is kept warm at kPingInterval; an idle one pings at kIdlePingInterval.
  virtual void set_warm(bool warm) = 0;

  virtual const NodeId& peer() const = 0;           // proven by the handshake
  virtual std::string remote_address() const = 0;   // "192.168.1.7:7420"
  virtual std::optional<Duration> rtt() const = 0;  // smoothed; nullopt before the first Pong
  // What the peer's monotonic clock shows more than ours, from the quickest of the last round trips: wrong by half of
  // what that one took longer in one direction than in the other. nullopt before the first Pong, and of a peer that
  // does not tell its clock. What it tells is not checked.
  virtual std::optional<Duration> clock_offset() const = 0;
  virtual std::size_t queued_bytes() const = 0;
};

}  // namespace shoal::net
