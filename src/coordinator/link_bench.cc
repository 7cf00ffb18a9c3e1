#include "coordinator/link_bench.h"

#include <utility>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include "base/assert.h"

namespace shoal::coordinator {

LinkBench::LinkBench(boost::asio::io_context& io, const Clock& clock, Cluster& cluster, Duration link_measure_max)
    : io_(io), cluster_(cluster), link_measure_max_(link_measure_max), meter_(io, clock), deadline_(io) {}

void LinkBench::start(std::vector<MeasuredLink> links, OnDone done) {
  SHOAL_ASSERT(!running() && done);
  links_ = std::move(links);
  on_done_ = std::move(done);
  current_ = 0;
  run_ = std::make_shared<bool>(true);
  go_on();
}

void LinkBench::cancel() {
  on_done_ = nullptr;
  run_.reset();
  measuring_ = false;
  meter_.cancel();
  deadline_.cancel();
}

void LinkBench::go_on() {
  boost::asio::post(io_, [this, run = std::weak_ptr(run_)] {
    if (!run.expired()) measure_next();
  });
}

void LinkBench::measure_next() {
  if (current_ == links_.size()) {
    const OnDone done = std::exchange(on_done_, nullptr);
    cancel();
    return done(std::move(links_));
  }
  const MeasuredLink& link = links_[current_];
  measuring_ = true;
  for (const auto& end : {link.from, link.to}) {
    const auto* member = end ? cluster_.find(*end) : nullptr;
    if (end && (member == nullptr || !member->link)) {
      return settle(LinkPath::kNone, Error{ErrorCode::kUnavailable, "the node is not connected"});
    }
  }
  if (!link.from) return measure_from_here(*link.to);
  cluster_.send(*link.from, wire::MeasureLink{++last_measure_, link.epoch, link.from_stage});
  deadline_.expires_after(link_measure_max_);
  deadline_.async_wait([this, run = std::weak_ptr(run_), measure = last_measure_](boost::system::error_code cancelled) {
    if (cancelled || run.expired() || !measuring_ || measure != last_measure_) return;
    settle(LinkPath::kNone, Error{ErrorCode::kDeadlineExceeded, "the node does not answer"});
  });
}

void LinkBench::measure_from_here(const NodeId& to) {
  meter_.start({to,
                [this, to](const wire::LinkProbe& probe, std::shared_ptr<const Bytes> raw) {
                  cluster_.send(to, probe, std::move(raw));
                },
                [this, to]() -> std::size_t {
                  const auto* member = cluster_.find(to);
                  return member != nullptr && member->link ? member->link->queued_bytes() : 0;
                }},
               [this](Result<net::LinkSpeed> speed) { settle(LinkPath::kDirect, std::move(speed)); });
}

void LinkBench::on_measured(const NodeId& node, const wire::LinkMeasured& measured) {
  if (!measuring_ || links_[current_].from != node || measured.measure != last_measure_) return;
  if (!measured.measured) return settle(LinkPath::kNone, Error{ErrorCode::kUnavailable, measured.reason});
  const auto rtt_us = std::min<std::uint64_t>(measured.rtt_us, net::kMeasureMax.count());
  settle(measured.direct ? LinkPath::kDirect : LinkPath::kRelay,
         net::LinkSpeed{Duration(rtt_us), static_cast<double>(measured.bytes_per_s)});
}

void LinkBench::on_lost(const NodeId& node) {
  if (!measuring_ || (links_[current_].from != node && links_[current_].to != node)) return;
  settle(LinkPath::kNone, Error{ErrorCode::kUnavailable, "the node left"});
}

void LinkBench::settle(LinkPath path, Result<net::LinkSpeed> speed) {
  MeasuredLink& link = links_[current_++];
  measuring_ = false;
  meter_.cancel();
  deadline_.cancel();
  if (speed.ok()) {
    link.path = path;
    link.speed = *speed;
  } else {
    link.why_not = speed.error().message;
  }
  go_on();
}

}  // namespace shoal::coordinator
