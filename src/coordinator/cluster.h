// The coordinator's side of the links: who is paired, who is connected, what they say.
//
// Accepts control links (JoinRequest, Hello) and fetch links, answers pieces from the model, relays frames between
// nodes of the current plan. One control link a node: a second Hello of the same key replaces the first (the device
// came back before its old link was seen to die). Owned by the io thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "coordinator/store.h"
#include "net/piece_server.h"
#include "net/transport.h"

namespace shoal::coordinator {

class Cluster {
 public:
  struct Handlers {
    std::function<void(const NodeId&, const wire::Hello&)> on_joined;
    std::function<void(const NodeId&, const Error&)> on_lost;
    std::function<void(const NodeId&, wire::Frame)> on_frame;  // control frames that are not handled here
    net::ReadPiece read_piece;
    std::function<void(const NodeId&, const std::string& name, const std::string& address)> on_paired;  // may be none
    std::function<void(const NodeId&, const Telemetry&)> on_telemetry;  // as above; it is kept here first
  };
  struct Member {
    KnownNode known;
    std::optional<wire::Hello> hello;    // while connected
    std::shared_ptr<net::Link> link;     // while connected
    std::optional<Telemetry> telemetry;  // the newest, also of a node that is away; none since this process began
    Time telemetry_at;
  };

  Cluster(net::Transport& transport, Store& store, const Clock& clock, std::string name, Handlers handlers);
  ~Cluster();

  // kAlreadyExists: the port is taken.
  Status listen(const net::Endpoint& endpoint);
  net::Endpoint endpoint() const { return listener_->endpoint(); }

  const std::map<NodeId, Member>& members() const { return members_; }
  const Member* find(const NodeId& id) const;
  // Nothing happens when the node is not connected.
  void send(const NodeId& id, const wire::Message& message, std::shared_ptr<const Bytes> raw = nullptr);
  void send_to_all(const wire::Message& message);

  // Only nodes of one group may have frames relayed to each other: those of one pipeline's plan.
  void allow_relay_within(std::map<NodeId, std::uint32_t> groups) { relay_groups_ = std::move(groups); }
  std::uint64_t relayed_bytes() const { return relayed_bytes_; }

  // A single-use secret for a join link.
  Result<Bytes> create_secret(std::chrono::seconds lifetime);
  // Forgets the key, durably, and cuts every link that it has here with a Reject; nothing is relayed from or to it any
  // more. A node that was connected is lost (on_lost), from inside the call. kNotFound: no such node is paired.
  Status revoke(const NodeId& id);
  // Only remembers it. kNotFound: no such node is paired.
  Status set_paused(const NodeId& id, bool paused);

 private:
  void accept(std::shared_ptr<net::Link> link, wire::Frame first);
  void pair(const std::shared_ptr<net::Link>& link, const wire::JoinRequest& request);
  void open_control(std::shared_ptr<net::Link> link, wire::Hello hello);
  bool is_control_link(const NodeId& id, const net::Link* link) const;
  void on_control_frame(const NodeId& id, wire::Frame frame);
  void relay(const NodeId& from, const NodeId& to, Bytes frame);
  void serve_fetches(std::shared_ptr<net::Link> link);

  net::Transport& transport_;
  Store& store_;
  const Clock& clock_;
  std::string name_;
  Handlers handlers_;
  std::unique_ptr<net::Listener> listener_;
  std::map<NodeId, Member> members_;
  std::map<net::Link*, std::shared_ptr<net::Link>> other_links_;  // pairing and fetching
  std::map<NodeId, std::uint32_t> relay_groups_;
  std::uint64_t relayed_bytes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace shoal::coordinator
