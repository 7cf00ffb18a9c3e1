// A link's machinery (link.h): a socket, a TLS session, the frame reader and the send queue, on the io_context's
// thread. Internal to net.
//
// Life: handshake -> (accepted links: first frame) -> ready -> open, after start() -> closing -> closed. One timer
// serves them all: deadline of the opening, then pings and silence, then the end of closing. Waiting operations hold
// the link weakly and use no buffer of its own, so whoever owns it may drop it at any time; only closing holds it
// strongly, until its timer fires.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/link.h"
#include "net/tls.h"
#include "net/transport.h"

namespace shoal::net {

// What all links of a transport share. The buffers are free between two handlers.
struct LinkShared {
  LinkShared(boost::asio::io_context& io_context, const Identity& identity, const TransportLimits& link_limits)
      : io(io_context), limits(link_limits), tls(identity) {}

  boost::asio::io_context& io;
  TransportLimits limits;
  TlsContext tls;
  SystemClock clock;
  std::array<std::uint8_t, 64 << 10> received;  // one read's ciphertext
  std::array<std::uint8_t, 16 << 10> gathered;  // one record's plain text
};

class LinkImpl final : public Link {
 public:
  using Role = TlsSession::Role;
  // Called once: the handshake is done (client) or the first frame is there (server), or the error that ended it.
  using OnOpened = std::function<void(Status)>;

  LinkImpl(std::shared_ptr<LinkShared> shared, boost::asio::ip::tcp::socket socket, Role role);

  // Begins the handshake on the connected socket. The server side also waits for the first frame; `is_paired` is asked
  // then.
  void open(Duration deadline, Transport::IsPaired is_paired, OnOpened on_opened);
  wire::Frame take_first_frame() { return std::move(first_frame_); }

  void start(Handlers handlers) override;
  void send(const wire::Message& message, std::shared_ptr<const Bytes> raw) override;
  void send_encoded(Bytes frame) override;
  void reject(const Error& error) override;
  void close() override;
  bool is_open() const override { return phase_ < Phase::kClosing; }
  void set_warm(bool warm) override;
  const NodeId& peer() const override { return tls_.peer(); }
  std::string remote_address() const override { return remote_; }
  std::optional<Duration> rtt() const override { return rtt_; }
  std::optional<Duration> clock_offset() const override;
  std::size_t queued_bytes() const override { return queued_bytes_; }

 private:
  enum class Phase { kHandshake, kFirstFrame, kReady, kOpen, kClosing, kClosed };
  enum class Part { kHeader, kMessage, kRaw };
  struct Outgoing {
    Bytes head;
    std::shared_ptr<const Bytes> raw;
    std::size_t done = 0;  // bytes of both that are encrypted
  };

  std::shared_ptr<LinkImpl> self() { return std::static_pointer_cast<LinkImpl>(shared_from_this()); }
  Time now() const { return shared_->clock.now(); }
  std::uint64_t clock_us() const { return static_cast<std::uint64_t>(now().time_since_epoch().count()); }
  void send_ping();
  bool receiving() const {
    return phase_ == Phase::kHandshake || phase_ == Phase::kFirstFrame || phase_ == Phase::kOpen;
  }

  // Receiving.
  void wait_readable();
  void on_readable();
  void process_input();
  bool advance_handshake();
  bool fill(std::span<std::uint8_t> target);
  bool read_part();
  bool begin_frame();
  bool begin_raw();
  void finish_frame();
  void deliver(wire::Frame frame);
  void handle(const wire::Pong& pong);

  // Sending.
  void enqueue(Outgoing item);
  void enqueue(const wire::Message& message);
  void schedule_pump();
  void pump();
  bool encrypt_some();
  Status encrypt_queue();

  // Time.
  void arm_timer(Duration in);
  void on_timer();
  void keep_alive();
  Duration ping_interval() const;

  // The end.
  void fail(Error error, bool tell_peer);
  void notify(Status status);
  void begin_closing(Error error);
  void discard_input();
  void shut();

  std::shared_ptr<LinkShared> shared_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  TlsSession tls_;
  const Role role_;
  Phase phase_ = Phase::kHandshake;
  std::string remote_;
  OnOpened on_opened_;
  Transport::IsPaired is_paired_;
  Handlers handlers_;
  wire::Frame first_frame_;
  bool paired_ = true;  // false: held to JoinRequest and Pings

  Part part_ = Part::kHeader;
  std::size_t filled_ = 0;  // bytes of the current part
  std::array<std::uint8_t, wire::kFrameHeaderBytes> header_bytes_;
  wire::FrameHeader header_;
  Bytes message_;
  wire::Frame frame_;
  Bytes plain_;  // decrypted, not yet taken by a part: [plain_begin_, plain_end_)
  std::size_t plain_begin_ = 0, plain_end_ = 0;
  Bytes leftover_;  // ciphertext that arrived while nobody was receiving
  bool waiting_readable_ = false;

  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  std::size_t output_sent_ = 0;  // bytes of tls_.output() that the kernel has
  bool pump_scheduled_ = false, waiting_writable_ = false, sending_shut_ = false;
  bool input_ended_ = false;  // the peer closed while we are closing

  bool warm_ = false;
  bool may_ping_ = false;
  std::uint64_t timer_generation_ = 0;
  Time last_sent_{}, last_received_{}, last_ping_{};
  std::optional<Duration> rtt_;
  struct RoundTrip {
    Duration took{};
    Duration clock_offset{};
  };
  std::deque<RoundTrip> round_trips_;  // the last kRoundTripsKept whose peer told its clock
};

}  // namespace shoal::net
