#include "coordinator/cluster.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "net/join_link.h"

namespace shoal::coordinator {
namespace {

constexpr std::size_t kOtherLinksMax = 1024;
constexpr std::uint32_t kTelemetryIntervalMs = 500;
constexpr const char* kRevoked = "this coordinator revoked this device: pair again with a new join link";

Error not_paired(const NodeId& id) {
  return {ErrorCode::kNotFound, fmt::format("no node with the id {} is paired here", id.hex())};
}

}  // namespace

Cluster::Cluster(net::Transport& transport, Store& store, const Clock& clock, std::string name, Handlers handlers)
    : transport_(transport), store_(store), clock_(clock), name_(std::move(name)), handlers_(std::move(handlers)) {}

Cluster::~Cluster() {
  *alive_ = false;
  for (auto& [id, member] : members_) {
    if (member.link) member.link->close();
  }
  for (auto& [key, link] : other_links_) link->close();
}

Status Cluster::listen(const net::Endpoint& endpoint) {
  SHOAL_ASSIGN_OR_RETURN(auto nodes, store_.nodes());
  for (auto& node : nodes) members_[node.id].known = std::move(node);
  SHOAL_ASSIGN_OR_RETURN(listener_, transport_.listen(
                                        endpoint, [this](const NodeId& id) { return members_.contains(id); },
                                        [this, alive = alive_](std::shared_ptr<net::Link> link, wire::Frame first) {
                                          if (*alive) accept(std::move(link), std::move(first));
                                        }));
  return {};
}

const Cluster::Member* Cluster::find(const NodeId& id) const {
  auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

void Cluster::send(const NodeId& id, const wire::Message& message, std::shared_ptr<const Bytes> raw) {
  if (const Member* member = find(id); member && member->link) member->link->send(message, std::move(raw));
}

void Cluster::send_to_all(const wire::Message& message) {
  for (auto& [id, member] : members_) {
    if (member.link) member.link->send(message);
  }
}

Result<Bytes> Cluster::create_secret(std::chrono::seconds lifetime) {
  Bytes secret = secure_random(net::kJoinSecretBytes);
  SHOAL_RETURN_IF_ERROR(store_.add_token(secret, clock_.unix_seconds() + lifetime.count()));
  return secret;
}

Status Cluster::set_paused(const NodeId& id, bool paused) {
  const auto found = members_.find(id);
  if (found == members_.end()) return not_paired(id);
  SHOAL_RETURN_IF_ERROR(store_.pause_node(id, paused));
  found->second.known.paused = paused;
  return {};
}

Status Cluster::revoke(const NodeId& id) {
  if (!members_.contains(id)) return not_paired(id);
  SHOAL_RETURN_IF_ERROR(store_.forget_node(id));
  const Member gone = std::move(members_.extract(id).mapped());
  relay_groups_.erase(id);
  const Error why{ErrorCode::kUnauthenticated, kRevoked};
  for (auto& [key, link] : other_links_) {
    if (link->peer() == id) link->reject(why);
  }
  if (!gone.link) return {};
  gone.link->reject(why);
  handlers_.on_lost(id, why);
  return {};
}

void Cluster::accept(std::shared_ptr<net::Link> link, wire::Frame first) {
  // The listener asked when the frame began: the key may have been revoked since.
  if (!std::holds_alternative<wire::JoinRequest>(first.message) && !members_.contains(link->peer()))
    return link->reject({ErrorCode::kUnauthenticated, kRevoked});
  if (auto* hello = std::get_if<wire::Hello>(&first.message)) return open_control(std::move(link), std::move(*hello));
  if (other_links_.size() >= kOtherLinksMax)
    return link->reject({ErrorCode::kResourceExhausted, "too many links; try later"});
  if (const auto* request = std::get_if<wire::JoinRequest>(&first.message)) {
    pair(link, *request);
  } else if (std::holds_alternative<wire::FetchHello>(first.message)) {
    serve_fetches(std::move(link));
  } else {
    link->reject({ErrorCode::kInvalidArgument, "the coordinator takes control links and fetch links only"});
  }
}

void Cluster::pair(const std::shared_ptr<net::Link>& link, const wire::JoinRequest& request) {
  net::Link* key = link.get();
  other_links_.emplace(key, link);
  net::Link::Handlers handlers;
  handlers.on_frame = [](wire::Frame) {};
  handlers.on_closed = [this, alive = alive_, key](const Error&) {
    if (*alive) other_links_.erase(key);
  };
  link->start(std::move(handlers));
  std::int64_t now = clock_.unix_seconds();
  auto status = store_.redeem_token(request.secret, link->peer(), request.name, now);
  if (!status.ok()) {
    log_warning("{} ({}) was not paired: {}", request.name, link->remote_address(), status.error().message);
    return link->reject(status.error());
  }
  members_[link->peer()].known = {link->peer(), request.name, now, now};
  if (handlers_.on_paired) handlers_.on_paired(link->peer(), request.name, link->remote_address());
  link->send(wire::JoinAccepted{name_});  // the node closes the link when it has stored the pairing
}

void Cluster::open_control(std::shared_ptr<net::Link> link, wire::Hello hello) {
  NodeId id = link->peer();
  Member& member = members_.at(id);
  if (auto old = std::exchange(member.link, nullptr)) {
    handlers_.on_lost(id, {ErrorCode::kUnavailable, "the node connected anew"});
    old->close();
  }
  member.known.name = hello.name;
  member.hello = hello;
  member.link = link;
  auto seen = [this, id, name = hello.name] {
    if (auto status = store_.see_node(id, name, clock_.unix_seconds()); !status.ok())
      log_warning("{}", status.error().message);
  };
  seen();
  net::Link::Handlers handlers;
  net::Link* key = link.get();
  handlers.on_frame = [this, alive = alive_, id, key](wire::Frame frame) {
    if (*alive && is_control_link(id, key)) on_control_frame(id, std::move(frame));
  };
  handlers.on_closed = [this, alive = alive_, id, key, seen](const Error& error) {
    if (!*alive || !is_control_link(id, key)) return;
    Member& lost = members_.at(id);
    lost.link.reset();
    lost.hello.reset();
    lost.known.seen_unix_seconds = clock_.unix_seconds();
    seen();
    handlers_.on_lost(id, error);
  };
  link->start(std::move(handlers));
  link->send(wire::Welcome{kTelemetryIntervalMs, name_});
  handlers_.on_joined(id, hello);
}

bool Cluster::is_control_link(const NodeId& id, const net::Link* link) const {
  const Member* member = find(id);
  return member != nullptr && member->link.get() == link;
}

void Cluster::on_control_frame(const NodeId& id, wire::Frame frame) {
  if (auto* telemetry = std::get_if<Telemetry>(&frame.message)) {
    Member& member = members_.at(id);
    member.telemetry = std::move(*telemetry);
    member.telemetry_at = clock_.now();
    if (handlers_.on_telemetry) handlers_.on_telemetry(id, *member.telemetry);
  } else if (const auto* wanted = std::get_if<wire::Relay>(&frame.message)) {
    relay(id, wanted->peer, std::move(frame.raw));
  } else if (const auto* probe = std::get_if<wire::LinkProbe>(&frame.message)) {
    send(id, wire::LinkProbed{probe->probe});
  } else {
    handlers_.on_frame(id, std::move(frame));
  }
}

// The frame is not looked into: its receiver checks it as if it had come directly.
void Cluster::relay(const NodeId& from, const NodeId& to, Bytes frame) {
  const auto sender = relay_groups_.find(from);
  const auto receiver = relay_groups_.find(to);
  if (sender == relay_groups_.end() || receiver == relay_groups_.end() || sender->second != receiver->second) return;
  relayed_bytes_ += frame.size();
  send(to, wire::Relay{from}, std::make_shared<const Bytes>(std::move(frame)));
}

void Cluster::serve_fetches(std::shared_ptr<net::Link> link) {
  net::Link* key = link.get();
  other_links_.emplace(key, link);
  net::serve_pieces(link, handlers_.read_piece, [this, alive = alive_, key] {
    if (*alive) other_links_.erase(key);
  });
}

}  // namespace shoal::coordinator
