#include "net/link_meter.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/random.h"

namespace shoal::net {
namespace {

// Nothing that a tunnel on the way could compress.
std::shared_ptr<const Bytes> noise() {
  auto bytes = std::make_shared<Bytes>(wire::kProbeBytesMax);
  SplitMix64 random(1);
  for (std::size_t at = 0; at < bytes->size(); at += 8) store_le(bytes->data() + at, random());
  return bytes;
}

double seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

}  // namespace

LinkMeter::LinkMeter(boost::asio::io_context& io, const Clock& clock, Duration measure_max)
    : clock_(clock), measure_max_(measure_max), deadline_(io) {}

void LinkMeter::start(Way way, OnDone done) {
  SHOAL_ASSERT(!running() && done);
  way_ = std::move(way);
  on_done_ = std::move(done);
  round_trips_.clear();
  block_.reset();
  bytes_sent_ = bytes_answered_ = 0;
  began_ = clock_.now();
  run_ = std::make_shared<bool>(true);
  deadline_.expires_after(measure_max_);
  deadline_.async_wait([this, run = std::weak_ptr(run_)](boost::system::error_code cancelled) {
    if (!cancelled && !run.expired()) finish(known_speed());
  });
  send_probe(nullptr);
}

void LinkMeter::cancel() {
  on_done_ = nullptr;
  run_.reset();
  way_ = {};
  in_flight_.clear();
  deadline_.cancel();
}

void LinkMeter::send_probe(const std::shared_ptr<const Bytes>& raw) {
  in_flight_.push_back({++last_probe_, clock_.now(), raw ? raw->size() : 0});
  way_.send({last_probe_}, raw);
}

void LinkMeter::on_probed(const NodeId& peer, const wire::LinkProbed& probed) {
  if (!running() || peer != way_.peer || in_flight_.empty() || in_flight_.front().probe != probed.probe) return;
  const InFlight answered = in_flight_.front();
  in_flight_.pop_front();
  last_answer_ = clock_.now();
  if (!block_) return on_round_trip(last_answer_ - answered.sent);
  bytes_answered_ += answered.bytes;
  window_ = std::min(window_ + 1, kProbesInFlightMax);
  send_more();
}

void LinkMeter::on_round_trip(Duration took) {
  round_trips_.push_back(took);
  if (round_trips_.size() < kRttProbes && last_answer_ - began_ < kRttMax) return send_probe(nullptr);
  std::sort(round_trips_.begin(), round_trips_.end());
  block_ = noise();
  rate_began_ = last_answer_;
  window_ = 1;
  send_more();
}

void LinkMeter::send_more() {
  const bool over = clock_.now() - rate_began_ >= kRateFor || bytes_sent_ >= kRateBytesMax;
  while (!over && in_flight_.size() < window_ && way_.queued_bytes() < kQueuedBytesMax) {
    bytes_sent_ += block_->size();
    send_probe(block_);
  }
  if (in_flight_.empty()) finish(known_speed());
}

Result<LinkSpeed> LinkMeter::known_speed() const {
  if (bytes_answered_ > 0) {
    const Duration took = std::max(last_answer_ - rate_began_ - round_trips_.front(), Duration(1));
    return LinkSpeed{round_trips_[round_trips_.size() / 2], static_cast<double>(bytes_answered_) / seconds(took)};
  }
  if (block_ && bytes_sent_ == 0) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("the link is busy: {} wait to be sent", format_size(way_.queued_bytes()))};
  }
  return Error{ErrorCode::kDeadlineExceeded,
               fmt::format("{} got no answer within {} s", block_ ? format_size(wire::kProbeBytesMax) : "a probe",
                           seconds(measure_max_))};
}

void LinkMeter::finish(Result<LinkSpeed> speed) {
  const OnDone done = std::exchange(on_done_, nullptr);
  cancel();
  done(std::move(speed));
}

}  // namespace shoal::net
