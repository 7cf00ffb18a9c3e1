#include "node/link_prober.h"

namespace shoal::node {

LinkProber::LinkProber(boost::asio::io_context& io, StageTable& stages, std::function<net::Link*()> control)
    : stages_(stages), control_(std::move(control)), meter_(io, clock_) {
  stages_.links().on_probed([this](const NodeId& peer, const wire::LinkProbed& probed) { on_probed(peer, probed); });
}

void LinkProber::measure(const wire::MeasureLink& order) {
  if (control_() == nullptr) return;
  const auto refuse = [&](std::string why) { tell({order.measure, false, std::move(why)}); };
  if (meter_.running()) return refuse("the node is measuring another of its links");
  Result<Measured> link = order.from_stage ? data_link(order) : control_link();
  if (!link.ok()) return refuse(link.error().message);
  const NodeId peer = link->way.peer;
  meter_.start(std::move(link->way), [this, order, peer, direct = link->direct](Result<net::LinkSpeed> speed) {
    const bool changed = order.from_stage && stages_.links().is_direct(peer) != direct;
    if (changed) speed = Error{ErrorCode::kUnavailable, "the link broke meanwhile"};
    wire::LinkMeasured measured{order.measure, speed.ok()};
    measured.direct = direct;
    if (speed.ok()) {
      measured.rtt_us = static_cast<std::uint64_t>(speed->rtt.count());
      measured.bytes_per_s = std::max<std::uint64_t>(static_cast<std::uint64_t>(speed->bytes_per_s), 1);
    } else {
      measured.reason = speed.error().message;
    }
    tell(measured);
  });
}

LinkProber::Measured LinkProber::control_link() const {
  return {{control_()->peer(),
           [this](const wire::LinkProbe& probe, std::shared_ptr<const Bytes> raw) {
             if (net::Link* control = control_()) control->send(probe, std::move(raw));
           },
           [this] {
             const net::Link* control = control_();
             return control != nullptr ? control->queued_bytes() : 0;
           }}};
}

Result<LinkProber::Measured> LinkProber::data_link(const wire::MeasureLink& order) const {
  const auto successor = stages_.successor(order.epoch, order.from_stage);
  if (!successor) return Error{ErrorCode::kNotFound, "the plan is another by now"};
  const NodeId peer = *successor;
  const auto direct = stages_.links().is_direct(peer);
  if (!direct) return Error{ErrorCode::kUnavailable, "the next node is still being dialled"};
  net::LinkMeter::Way way = control_link().way;  // of what is relayed, the queue that fills is the control link's
  way.peer = peer;
  way.send = [this, peer](const wire::LinkProbe& probe, std::shared_ptr<const Bytes> raw) {
    stages_.links().send(peer, probe, std::move(raw));
  };
  if (*direct) way.queued_bytes = [this, peer] { return stages_.links().queued_bytes(peer); };
  return Measured{std::move(way), *direct};
}

void LinkProber::tell(const wire::LinkMeasured& measured) const {
  if (net::Link* control = control_()) control->send(measured);
}

}  // namespace shoal::node
