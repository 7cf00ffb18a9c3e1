#include "net/link_impl.h"

#include <netinet/tcp.h>

#include <algorithm>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

namespace shoal::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using TcpUserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;

constexpr std::size_t kRecordBytes = 16 << 10;
constexpr std::size_t kBatchBytes = 256 << 10;          // encrypted ahead of the socket
constexpr std::size_t kKeptBytes = 64 << 10;            // larger buffers are given back after use
constexpr int kTurns = 16;                              // reads or writes in a row before others get their turn
constexpr Duration kRttMax = std::chrono::seconds(60);  // an answer older than this is no measurement
constexpr std::size_t kRoundTripsKept = 8;              // of which the quickest tells the peer's clock
constexpr std::uint64_t kClockUsMax = std::uint64_t{1} << 62;

template <typename T>
const std::uint16_t kType = static_cast<std::uint16_t>(wire::Message(T{}).index() + 1);

Error unavailable(std::string message) {
  return {ErrorCode::kUnavailable, std::move(message)};
}

std::string remote_text(const asio::ip::tcp::socket& socket) {
  error_code error;
  const auto remote = socket.remote_endpoint(error);
  return error ? "unknown" : Endpoint{remote.address().to_string(), remote.port()}.text();
}

}  // namespace

LinkImpl::LinkImpl(std::shared_ptr<LinkShared> shared, asio::ip::tcp::socket socket, Role role)
    : shared_(std::move(shared)),
      socket_(std::move(socket)),
      timer_(shared_->io),
      tls_(shared_->tls, role),
      role_(role),
      remote_(remote_text(socket_)) {}

void LinkImpl::open(Duration deadline, Transport::IsPaired is_paired, OnOpened on_opened) {
  is_paired_ = std::move(is_paired);
  on_opened_ = std::move(on_opened);
  error_code ignored;  // a socket that refuses an option works without it, or fails at its first use
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto silence_ms = std::chrono::duration_cast<std::chrono::milliseconds>(shared_->limits.silence_max).count();
  socket_.set_option(TcpUserTimeout(static_cast<int>(silence_ms)), ignored);
  last_sent_ = last_received_ = now();
  arm_timer(deadline);
  if (role_ == Role::kClient && !advance_handshake() && !is_open()) return;
  wait_readable();
}

void LinkImpl::start(Handlers handlers) {
  if (!is_open()) return;
  SHOAL_ASSERT(phase_ == Phase::kReady);
  handlers_ = std::move(handlers);
  phase_ = Phase::kOpen;
  last_received_ = now();
  if (role_ == Role::kServer) may_ping_ = true;
  if (may_ping_) send_ping();
  arm_timer(ping_interval());
  // What came while nobody was listening is taken from the event loop: no handler is called from inside start().
  asio::post(shared_->io, [weak = weak_from_this()] {
    const auto link = std::static_pointer_cast<LinkImpl>(weak.lock());
    if (!link || !link->receiving()) return;
    const Bytes leftover = std::exchange(link->leftover_, {});
    link->tls_.set_input(leftover);
    link->process_input();
    link->wait_readable();
  });
}

// --- receiving ---

void LinkImpl::wait_readable() {
  if (waiting_readable_ || input_ended_ || (!receiving() && phase_ != Phase::kClosing)) return;
  waiting_readable_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_read, [weak = weak_from_this()](error_code error) {
    const auto link = std::static_pointer_cast<LinkImpl>(weak.lock());
    if (!link) return;
    link->waiting_readable_ = false;
    if (error == asio::error::operation_aborted) return;
    link->on_readable();
    link->wait_readable();
  });
}

void LinkImpl::on_readable() {
  if (phase_ == Phase::kClosing) return discard_input();
  for (int turn = 0; turn < kTurns && receiving(); ++turn) {
    error_code error;
    auto& buffer = shared_->received;
    const std::size_t count = socket_.read_some(asio::buffer(buffer), error);
    if (error == asio::error::would_block || error == asio::error::try_again) return;
    if (error) {
      const bool inside = part_ != Part::kHeader || filled_ > 0;
      const std::string_view when = phase_ == Phase::kHandshake ? " during the TLS handshake"
                                    : inside                    ? " in the middle of a frame"
                                                                : "";
      return fail(unavailable(error == asio::error::eof ? fmt::format("the peer closed the link{}", when)
                                                        : fmt::format("the link broke{}: {}", when, error.message())),
                  false);
    }
    last_received_ = now();
    tls_.set_input(ByteSpan(buffer).first(count));
    process_input();
    if (count < buffer.size()) return;
  }
}

void LinkImpl::process_input() {
  if (phase_ != Phase::kHandshake || advance_handshake()) {
    while (receiving() && read_part()) {
    }
  }
  if (phase_ == Phase::kReady) leftover_.insert(leftover_.end(), tls_.input().begin(), tls_.input().end());
  tls_.set_input({});
  if (tls_.output().size() > output_sent_) schedule_pump();
}

// True when the handshake is done.
bool LinkImpl::advance_handshake() {
  const auto done = tls_.handshake();
  if (!done.ok()) {
    fail(done.error(), false);
    return false;
  }
  pump();
  if (!*done || !is_open()) return false;
  if (role_ == Role::kServer) {
    phase_ = Phase::kFirstFrame;
    return true;
  }
  phase_ = Phase::kReady;
  arm_timer(Duration::max());
  notify({});
  return true;
}

// Fills the rest of the part that is being read; true when it is whole. Large parts are decrypted in place.
bool LinkImpl::fill(std::span<std::uint8_t> target) {
  constexpr std::size_t kDirectBytes = 4096;
  while (filled_ < target.size()) {
    const auto rest = target.subspan(filled_);
    if (plain_begin_ < plain_end_) {
      const std::size_t count = std::min(rest.size(), plain_end_ - plain_begin_);
      std::copy_n(plain_.begin() + static_cast<std::ptrdiff_t>(plain_begin_), count, rest.begin());
      plain_begin_ += count;
      filled_ += count;
      continue;
    }
    const bool direct = rest.size() >= kDirectBytes;
    if (!direct && plain_.empty()) plain_.resize(kRecordBytes);
    const auto count = tls_.read(direct ? rest : std::span(plain_));
    if (!count.ok()) return fail(count.error(), false), false;
    if (*count == 0) return false;
    if (direct) {
      filled_ += *count;
    } else {
      plain_begin_ = 0;
      plain_end_ = *count;
    }
  }
  filled_ = 0;
  return true;
}

// Reads one part of a frame. False: it needs more input, or the link is closing.
bool LinkImpl::read_part() {
  switch (part_) {
    case Part::kHeader:
      return fill(header_bytes_) && begin_frame();
    case Part::kMessage:
      return fill(message_) && begin_raw();
    case Part::kRaw:
      if (!fill(frame_.raw)) return false;
      part_ = Part::kHeader;
      finish_frame();
      return true;
  }
  return false;
}

bool LinkImpl::begin_frame() {
  const auto header = wire::decode_header(header_bytes_);
  if (!header.ok()) return fail(header.error(), true), false;
  header_ = *header;
  if (phase_ == Phase::kFirstFrame) paired_ = is_paired_(peer());
  const bool allowed = paired_ || (phase_ == Phase::kFirstFrame
                                       ? header_.type == kType<wire::JoinRequest>
                                       : header_.type == kType<wire::Ping> || header_.type == kType<wire::Pong>);
  if (!allowed) {
    fail({ErrorCode::kUnauthenticated,
          fmt::format("device {} is not paired here, or was revoked: join with a fresh link from `shoal token create`",
                      peer().short_hex())},
         true);
    return false;
  }
  message_.resize(header_.message_bytes);
  part_ = Part::kMessage;
  return true;
}

bool LinkImpl::begin_raw() {
  auto message = wire::decode_message(header_.type, message_);
  if (message_.capacity() > kKeptBytes) message_ = {};
  if (!message.ok()) return fail(std::move(message).error(), true), false;
  const Status fits = wire::check_raw(*message, header_.raw_bytes);
  if (!fits.ok()) return fail(fits.error(), true), false;
  frame_.message = std::move(*message);
  frame_.raw.resize(header_.raw_bytes);
  part_ = Part::kRaw;
  return true;
}

void LinkImpl::finish_frame() {
  wire::Frame frame = std::exchange(frame_, {});
  if (phase_ != Phase::kFirstFrame) return deliver(std::move(frame));
  first_frame_ = std::move(frame);
  phase_ = Phase::kReady;
  arm_timer(Duration::max());
  notify({});
}

void LinkImpl::deliver(wire::Frame frame) {
  if (const auto* ping = std::get_if<wire::Ping>(&frame.message)) {
    enqueue(wire::Pong{ping->sent_us, clock_us()});
  } else if (const auto* pong = std::get_if<wire::Pong>(&frame.message)) {
    handle(*pong);
  } else if (const auto* reject = std::get_if<wire::Reject>(&frame.message)) {
    fail({reject->code, reject->message}, false);
  } else if (handlers_.on_frame) {
    handlers_.on_frame(std::move(frame));
  }
}

void LinkImpl::handle(const wire::Pong& pong) {
  const std::uint64_t sample_us = clock_us() - pong.sent_us;  // wraps to something huge when the peer makes it up
  if (sample_us > static_cast<std::uint64_t>(kRttMax.count())) return;
  const Duration sample(static_cast<std::int64_t>(sample_us));
  rtt_ = rtt_ ? (*rtt_ * 7 + sample) / 8 : sample;  // RFC 6298's smoothing
  if (pong.clock_us == 0 || pong.clock_us > kClockUsMax) return;
  // The peer read its clock half-way, as far as we know (NTP, RFC 5905 §8).
  const auto offset = static_cast<std::int64_t>(pong.clock_us) - static_cast<std::int64_t>(pong.sent_us);
  if (round_trips_.size() >= kRoundTripsKept) round_trips_.pop_front();
  round_trips_.push_back({sample, Duration(offset) - sample / 2});
}

std::optional<Duration> LinkImpl::clock_offset() const {
  const auto quickest = std::min_element(round_trips_.begin(), round_trips_.end(),
                                         [](const RoundTrip& a, const RoundTrip& b) { return a.took < b.took; });
  return quickest == round_trips_.end() ? std::nullopt : std::optional(quickest->clock_offset);
}

// --- sending ---

void LinkImpl::send(const wire::Message& message, std::shared_ptr<const Bytes> raw) {
  if (!is_open()) return;
  Bytes head = wire::encode_frame(message, raw ? raw->size() : 0);
  enqueue(Outgoing{std::move(head), std::move(raw)});
}

void LinkImpl::send_encoded(Bytes frame) {
  if (is_open()) enqueue(Outgoing{std::move(frame), nullptr});
}

void LinkImpl::enqueue(const wire::Message& message) {
  enqueue(Outgoing{wire::encode_frame(message, 0), nullptr});
}

void LinkImpl::enqueue(Outgoing item) {
  const std::size_t size = item.head.size() + (item.raw ? item.raw->size() : 0);
  if (queued_bytes_ + size > shared_->limits.send_queue_bytes_max) {
    return fail({ErrorCode::kResourceExhausted,
                 fmt::format("the peer takes nothing: {} queued for it", format_size(queued_bytes_ + size))},
                false);
  }
  queued_bytes_ += size;
  queue_.push_back(std::move(item));
  last_sent_ = now();
  if (!may_ping_ && (phase_ == Phase::kReady || phase_ == Phase::kOpen)) {  // our first frame said what the link is
    may_ping_ = true;
    if (phase_ == Phase::kOpen) send_ping();
  }
  schedule_pump();
}

void LinkImpl::send_ping() {
  last_ping_ = now();
  enqueue(wire::Ping{clock_us()});
}

void LinkImpl::schedule_pump() {
  if (pump_scheduled_ || waiting_writable_) return;
  pump_scheduled_ = true;
  asio::post(shared_->io, [weak = weak_from_this()] {
    const auto link = std::static_pointer_cast<LinkImpl>(weak.lock());
    if (!link) return;
    link->pump_scheduled_ = false;
    link->pump();
  });
}

void LinkImpl::pump() {
  if (phase_ == Phase::kClosed || waiting_writable_ || sending_shut_) return;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (!encrypt_some()) {
      if (phase_ != Phase::kClosing) return;
      error_code ignored;
      socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      sending_shut_ = true;
      return input_ended_ ? shut() : void();
    }
    const ByteSpan output = ByteSpan(tls_.output()).subspan(output_sent_);
    error_code error;
    output_sent_ += socket_.write_some(asio::buffer(output.data(), output.size()), error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      waiting_writable_ = true;
      socket_.async_wait(asio::ip::tcp::socket::wait_write, [weak = weak_from_this()](error_code wait_error) {
        const auto link = std::static_pointer_cast<LinkImpl>(weak.lock());
        if (!link) return;
        link->waiting_writable_ = false;
        if (wait_error != asio::error::operation_aborted) link->pump();
      });
      return;
    }
    if (error) {
      if (phase_ == Phase::kClosing) return shut();
      if (phase_ != Phase::kHandshake) on_readable();  // the peer may have said why before it closed
      return fail(unavailable(fmt::format("the peer closed the link: {}", error.message())), false);
    }
  }
  schedule_pump();
}

// Makes sure that ciphertext waits for the socket; false when there is nothing to send.
bool LinkImpl::encrypt_some() {
  Bytes& output = tls_.output();
  if (output_sent_ < output.size()) return true;
  output.clear();
  output_sent_ = 0;
  if (queue_.empty() || phase_ == Phase::kHandshake) {
    if (output.capacity() > kKeptBytes) output = {};
    return false;
  }
  const Status status = encrypt_queue();
  if (!status.ok()) fail(status.error(), false);
  return is_open() || phase_ == Phase::kClosing ? !output.empty() : false;
}

// Encrypts what is queued, up to a batch. Small pieces share a record; large ones are encrypted where they lie.
Status LinkImpl::encrypt_queue() {
  auto& gathered = shared_->gathered;
  std::size_t count = 0;
  const auto flush = [&]() -> Status {
    const std::size_t size = std::exchange(count, 0);
    return size == 0 ? Status() : tls_.write(ByteSpan(gathered).first(size));
  };
  while (!queue_.empty() && tls_.output().size() + count < kBatchBytes) {
    Outgoing& item = queue_.front();
    const bool in_head = item.done < item.head.size();
    const ByteSpan rest = in_head    ? ByteSpan(item.head).subspan(item.done)
                          : item.raw ? ByteSpan(*item.raw).subspan(item.done - item.head.size())
                                     : ByteSpan();
    if (rest.empty()) {
      queue_.pop_front();
      continue;
    }
    std::size_t taken;
    if (count == 0 && rest.size() >= gathered.size()) {
      taken = std::min(rest.size(), kBatchBytes);
      SHOAL_RETURN_IF_ERROR(tls_.write(rest.first(taken)));
    } else {
      taken = std::min(rest.size(), gathered.size() - count);
      std::copy_n(rest.begin(), taken, gathered.begin() + static_cast<std::ptrdiff_t>(count));
      count += taken;
      if (count == gathered.size()) SHOAL_RETURN_IF_ERROR(flush());
    }
    item.done += taken;
    queued_bytes_ -= taken;
  }
  return flush();
}

// --- time ---

Duration LinkImpl::ping_interval() const {
  return warm_ ? shared_->limits.ping_interval : shared_->limits.idle_ping_interval;
}

void LinkImpl::set_warm(bool warm) {
  if (warm == warm_) return;
  warm_ = warm;
  if (phase_ == Phase::kOpen) keep_alive();
}

// `in` = Duration::max() only ends what was armed before.
void LinkImpl::arm_timer(Duration in) {
  const std::uint64_t generation = ++timer_generation_;
  if (in == Duration::max()) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(in);
  const auto fire = [generation](LinkImpl& link) {
    if (generation == link.timer_generation_) link.on_timer();
  };
  if (phase_ == Phase::kClosing) {
    timer_.async_wait([link = self(), fire](error_code) { fire(*link); });
  } else {
    timer_.async_wait([weak = weak_from_this(), fire](error_code) {
      if (const auto link = std::static_pointer_cast<LinkImpl>(weak.lock())) fire(*link);
    });
  }
}

void LinkImpl::on_timer() {
  switch (phase_) {
    case Phase::kHandshake:
      return fail({ErrorCode::kDeadlineExceeded, "the TLS handshake took too long"}, false);
    case Phase::kFirstFrame:
      return fail({ErrorCode::kDeadlineExceeded, "the first frame took too long"}, false);
    case Phase::kOpen:
      return keep_alive();
    case Phase::kClosing:
      return shut();
    case Phase::kReady:
    case Phase::kClosed:
      return;
  }
}

// Pings when it is time, ends the link when it was silent for too long, and arms the timer for the next of both.
void LinkImpl::keep_alive() {
  const Duration silence_max = shared_->limits.silence_max;
  if (now() - last_received_ >= silence_max) {
    on_readable();  // this process may have been the one that slept
    if (phase_ != Phase::kOpen) return;
    if (now() - last_received_ >= silence_max) {
      return fail(
          {ErrorCode::kDeadlineExceeded,
           fmt::format("nothing heard for {} ms", std::chrono::ceil<std::chrono::milliseconds>(silence_max).count())},
          false);
    }
  }
  // A queue that does not drain needs no pings behind it.
  const bool drained = queue_.empty() && output_sent_ == tls_.output().size();
  const bool silent = now() - last_sent_ >= ping_interval();
  // Steps keep it from being silent. An idle one needs no more: what one side sends keeps the other from pinging too.
  const bool unmeasured = warm_ && now() - last_ping_ >= shared_->limits.idle_ping_interval;
  if (may_ping_ && drained && (silent || unmeasured)) {
    send_ping();
    if (phase_ != Phase::kOpen) return;
  }
  const Time next_ping = std::max(last_sent_, drained ? last_sent_ : now()) + ping_interval();
  const Time next = std::min(next_ping, last_received_ + silence_max);
  arm_timer(std::max<Duration>(next - now(), std::chrono::milliseconds(1)));
}

// --- the end ---

void LinkImpl::reject(const Error& error) {
  if (is_open()) fail(error, true);
}

void LinkImpl::close() {
  if (is_open()) begin_closing({ErrorCode::kCancelled, "the link was closed"});
}

// Tells whoever waits, once: the opener at once (it runs on the event loop), an open link's owner from the event loop.
void LinkImpl::notify(Status status) {
  if (on_opened_) return std::exchange(on_opened_, nullptr)(std::move(status));
  if (status.ok()) return;
  asio::post(shared_->io, [link = self(), error = std::move(status).error()] {
    const Handlers handlers = std::exchange(link->handlers_, {});
    if (handlers.on_closed) handlers.on_closed(error);
  });
}

void LinkImpl::fail(Error error, bool tell_peer) {
  if (!is_open()) return;
  if (tell_peer) {
    enqueue(wire::Reject{error.code, error.message});
    if (is_open()) begin_closing(std::move(error));
    return;
  }
  if (output_sent_ < tls_.output().size() && !waiting_writable_) {  // TLS's own alert, if the socket takes it
    error_code ignored;
    const ByteSpan output = ByteSpan(tls_.output()).subspan(output_sent_);
    socket_.write_some(asio::buffer(output.data(), output.size()), ignored);
  }
  shut();
  notify(std::move(error));
}

void LinkImpl::begin_closing(Error error) {
  phase_ = Phase::kClosing;
  arm_timer(kClosingMax);
  schedule_pump();
  wait_readable();
  notify(std::move(error));
}

// Reads and forgets until the peer closes too: closing a socket with unread bytes resets it, and the reset may overtake
// our last frame.
void LinkImpl::discard_input() {
  for (int turn = 0; turn < kTurns; ++turn) {
    error_code error;
    socket_.read_some(asio::buffer(shared_->received), error);
    if (error == asio::error::would_block || error == asio::error::try_again) return;
    if (!error) continue;
    input_ended_ = true;
    if (sending_shut_ || error != asio::error::eof) shut();
    return;
  }
}

void LinkImpl::shut() {
  phase_ = Phase::kClosed;
  arm_timer(Duration::max());
  error_code ignored;
  socket_.close(ignored);
  queue_.clear();
  queued_bytes_ = 0;
}

}  // namespace shoal::net
