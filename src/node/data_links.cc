#include "node/data_links.h"

#include <algorithm>

#include "base/log.h"

namespace shoal::node {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr Duration kDialMax = std::chrono::milliseconds(1500);
constexpr Duration kRetryPauseMin = std::chrono::milliseconds(50);  // the peer may not have read the plan yet
constexpr Duration kRetryPauseMax = std::chrono::seconds(10);       // what is relayed meanwhile is in no hurry
constexpr auto kSteadyAfter = std::chrono::seconds(30);  // a direct link that lasted so long is no flapping one
constexpr auto kWarmFor = std::chrono::seconds(2);
constexpr std::uint64_t kTakeOverProbe = std::uint64_t{1} << 63;  // LinkMeter counts its probes from 1

}  // namespace

std::optional<std::uint32_t> rtt_us_of(const net::Link& link) {
  const auto rtt = link.rtt();
  if (!rtt) return std::nullopt;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(rtt->count(), 0, UINT32_MAX));
}

DataLinks::DataLinks(boost::asio::io_context& io, net::Transport& transport, Handlers handlers)
    : io_(io), transport_(transport), handlers_(std::move(handlers)) {}

DataLinks::~DataLinks() {
  *alive_ = false;
  close_all();
}

void DataLinks::close_all() {
  auto peers = std::exchange(peers_, {});
  for (auto& [id, peer] : peers) {
    if (peer.link) peer.link->close();
  }
}

void DataLinks::set_plan(const wire::Plan& plan, const NodeId& self) {
  epoch_ = plan.epoch;
  std::map<NodeId, Peer> kept;
  for (std::size_t i = 0; i + 1 < plan.stages.size(); ++i) {
    const auto& from = plan.stages[i];
    const auto& to = plan.stages[i + 1];
    if (from.node != self || to.node == self || kept.contains(to.node)) continue;
    Peer peer;
    if (auto old = peers_.extract(to.node); !old.empty()) peer = std::move(old.mapped());
    peer.pending.clear();  // of an older epoch
    peer.from_stage = from.stage;
    peer.to_stage = to.stage;
    peer.endpoints.clear();
    for (const auto& address : to.addresses) peer.endpoints.push_back({address, to.data_port});
    kept.emplace(to.node, std::move(peer));
  }
  for (auto& [id, peer] : peers_) {
    if (peer.link) peer.link->close();
  }
  peers_ = std::move(kept);
  for (auto& [id, peer] : peers_) {
    const bool has_link = peer.way == Way::kDirect || peer.way == Way::kTakingOver;
    if (has_link && peer.link && peer.link->is_open()) {
      settle(id, peer, Way::kDirect);  // what was relayed is of an older epoch
    } else {
      start_dialling(id, peer);
    }
  }
}

void DataLinks::start_dialling(const NodeId& id, Peer& peer) {
  const bool was_relayed = peer.way != Way::kDialling;  // it is known to be hard to reach: nobody waits for it again
  peer.way = Way::kDialling;
  peer.link = nullptr;
  peer.endpoint_next = 0;
  peer.generation = ++generation_;
  peer.relayed = false;
  if (peer.endpoints.empty()) {
    peer.why_not_direct = "the node told no address";
    return settle(id, peer, Way::kRelay);
  }
  if (was_relayed) {
    settle(id, peer, Way::kRelay);
    return dial_later(id, peer);
  }
  peer.why_not_direct = "the node does not answer";
  lose_patience_after(kRelayAfter, id, peer);
  dial_next(id, peer.generation);
}

void DataLinks::dial_next(const NodeId& id, std::uint64_t generation) {
  Peer* peer = find(id, generation);
  if (peer == nullptr) return;
  const auto& endpoint = peer->endpoints[peer->endpoint_next++ % peer->endpoints.size()];
  transport_.dial(endpoint, id, kDialMax,
                  [this, alive = alive_, id, generation](Result<std::shared_ptr<net::Link>> link) {
                    if (*alive) on_dialled(id, generation, std::move(link));
                  });
}

DataLinks::Peer* DataLinks::find(const NodeId& id, std::uint64_t generation) {
  auto found = peers_.find(id);
  return found != peers_.end() && found->second.generation == generation ? &found->second : nullptr;
}

// The TLS handshake is done; whether the peer takes steps from us it says by answering the DataHello: until the plan
// has reached it, it closes the link instead, and we dial again.
void DataLinks::on_dialled(const NodeId& id, std::uint64_t generation, Result<std::shared_ptr<net::Link>> link) {
  Peer* peer = find(id, generation);
  if (peer == nullptr) {
    if (link.ok()) (*link)->close();
    return;
  }
  if (!link.ok()) return dial_again(id, *peer, link.error());
  peer->link = std::move(*link);
  const auto peer_of = [this, alive = alive_, id, generation, key = peer->link.get()]() -> Peer* {
    Peer* found = *alive ? find(id, generation) : nullptr;
    return found != nullptr && found->link.get() == key ? found : nullptr;
  };
  net::Link::Handlers handlers;
  handlers.on_frame = [this, id, peer_of](const wire::Frame& frame) {
    Peer* answering = peer_of();
    if (answering == nullptr) return;
    if (const auto* probed = std::get_if<wire::LinkProbed>(&frame.message); probed && on_probed_) {
      return on_probed_(id, *probed);
    }
    if (std::holds_alternative<wire::DataHello>(frame.message)) on_answered(id, *answering);
  };
  handlers.on_closed = [this, id, peer_of](const Error& error) {
    if (Peer* lost = peer_of()) on_closed(id, *lost, error);
  };
  peer->link->start(std::move(handlers));
  peer->link->send(wire::DataHello{epoch_});
}

void DataLinks::on_answered(const NodeId& id, Peer& peer) {
  if (peer.way != Way::kDialling && peer.way != Way::kRelay) return;
  if (!peer.relayed) return settle(id, peer, Way::kDirect);
  peer.take_over_probe = kTakeOverProbe | ++take_over_probes_;
  relay(id, peer, wire::LinkProbe{peer.take_over_probe}, nullptr);
  peer.way = Way::kTakingOver;
  lose_patience_after(kTakeOverMax, id, peer);
}

bool DataLinks::on_relay_probed(const NodeId& id, const wire::LinkProbed& probed) {
  if ((probed.probe & kTakeOverProbe) == 0) return false;
  const auto found = peers_.find(id);
  const bool awaited =
      found != peers_.end() && found->second.way == Way::kTakingOver && found->second.take_over_probe == probed.probe;
  if (awaited) settle(id, found->second, Way::kDirect);
  return true;
}

void DataLinks::on_closed(const NodeId& id, Peer& peer, const Error& error) {
  peer.link = nullptr;
  peer.why_not_direct = error.message;
  const Way before = peer.way;
  if (before == Way::kDirect || before == Way::kTakingOver) settle(id, peer, Way::kRelay);
  if (before == Way::kDirect) {
    if (SteadyClock::now() - peer.direct_since > kSteadyAfter) peer.retry_pause = kRetryPauseMin;
    handlers_.on_broken(epoch_, error);
  }
  dial_again(id, peer, error);
}

void DataLinks::lose_patience_after(Duration wait, const NodeId& id, Peer& peer) {
  peer.patience = std::make_unique<boost::asio::steady_timer>(io_, wait);
  peer.patience->async_wait(
      [this, alive = alive_, id, generation = peer.generation, way = peer.way](boost::system::error_code cancelled) {
        Peer* waiting = *alive && !cancelled ? find(id, generation) : nullptr;
        if (waiting != nullptr && waiting->way == way) on_patience_lost(id, *waiting);
      });
}

void DataLinks::on_patience_lost(const NodeId& id, Peer& peer) {
  if (peer.way == Way::kDialling) return settle(id, peer, Way::kRelay);
  const Error error{ErrorCode::kDeadlineExceeded, "the relay did not tell that it is empty"};
  peer.link->close();
  on_closed(id, peer, error);
}

void DataLinks::dial_again(const NodeId& id, Peer& peer, const Error& error) {
  peer.why_not_direct = error.message;
  dial_later(id, peer);
}

// The longer, the oftener it was in vain; also over plans, so that a link which breaks as soon as it carries steps does
// not take them again and again.
void DataLinks::dial_later(const NodeId& id, Peer& peer) {
  peer.retry_pause = peer.way == Way::kDialling ? kRetryPauseMin : std::max(peer.retry_pause, kRetryPauseMin);
  peer.retry = std::make_unique<boost::asio::steady_timer>(io_, peer.retry_pause);
  peer.retry_pause = std::min(peer.retry_pause * 2, kRetryPauseMax);
  peer.retry->async_wait([this, alive = alive_, id, generation = peer.generation](boost::system::error_code cancelled) {
    if (*alive && !cancelled) dial_next(id, generation);
  });
}

void DataLinks::settle(const NodeId& id, Peer& peer, Way way) {
  const bool direct = way == Way::kDirect;
  const Way before = std::exchange(peer.way, way);
  if (!direct) log_warning("no direct link to {}, the coordinator relays: {}", id.short_hex(), peer.why_not_direct);
  if (direct && (before == Way::kRelay || before == Way::kTakingOver))
    log_info("a direct link to {} takes over from the coordinator", id.short_hex());
  peer.patience.reset();
  if (direct) {
    peer.relayed = false;
    peer.direct_since = before == Way::kDirect ? peer.direct_since : SteadyClock::now();
  }
  handlers_.on_report({epoch_, peer.from_stage, peer.to_stage, direct, direct ? "" : peer.why_not_direct});
  auto pending = std::exchange(peer.pending, {});
  for (auto& waiting : pending) transmit(id, peer, waiting.message, waiting.raw);
}

void DataLinks::send(const NodeId& id, const wire::Message& message, std::shared_ptr<const Bytes> raw) {
  auto found = peers_.find(id);
  if (found == peers_.end()) return;  // of a plan that is gone
  Peer& peer = found->second;
  if (peer.way == Way::kDirect || peer.way == Way::kRelay) return transmit(id, peer, message, raw);
  if (peer.pending.size() < kPendingFramesMax) peer.pending.push_back({message, std::move(raw)});
}

std::optional<bool> DataLinks::is_direct(const NodeId& id) const {
  const auto found = peers_.find(id);
  if (found == peers_.end() || found->second.way == Way::kDialling) return std::nullopt;
  return found->second.way == Way::kDirect;
}

std::size_t DataLinks::queued_bytes(const NodeId& id) const {
  const auto found = peers_.find(id);
  return found != peers_.end() && found->second.link ? found->second.link->queued_bytes() : 0;
}

std::vector<NeighbourTelemetry> DataLinks::neighbours() const {
  std::vector<NeighbourTelemetry> all;
  for (const auto& [id, peer] : peers_) {
    if (all.size() == kNeighboursMax) break;
    const bool direct = peer.way == Way::kDirect && peer.link;
    all.push_back({id, direct ? rtt_us_of(*peer.link) : std::nullopt});
  }
  return all;
}

void DataLinks::on_probed(std::function<void(const NodeId&, const wire::LinkProbed&)> handler) {
  on_probed_ = std::move(handler);
}

void DataLinks::transmit(const NodeId& id, Peer& peer, const wire::Message& message,
                         const std::shared_ptr<const Bytes>& raw) {
  if (peer.way != Way::kDirect) return relay(id, peer, message, raw);
  peer.last_step = SteadyClock::now();
  peer.link->set_warm(true);
  peer.link->send(message, raw);
}

void DataLinks::relay(const NodeId& id, Peer& peer, const wire::Message& message,
                      const std::shared_ptr<const Bytes>& raw) {
  peer.relayed = true;
  Bytes frame = wire::encode_frame(message, raw ? raw->size() : 0);
  if (raw) frame.insert(frame.end(), raw->begin(), raw->end());
  handlers_.relay(id, std::move(frame));
}

void DataLinks::tick(SteadyClock::time_point now) {
  for (auto& [id, peer] : peers_) {
    if (peer.way == Way::kDirect && now - peer.last_step > kWarmFor) peer.link->set_warm(false);
  }
}

}  // namespace shoal::node
