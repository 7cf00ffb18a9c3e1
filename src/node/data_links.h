// Links to the nodes that come next in the plan, direct or through the coordinator.
//
// For every stage of ours whose successor lives on another node, a data link to that node is dialled when the plan
// arrives, and kept. Frames sent meanwhile wait (kPendingFramesMax of them), for kRelayAfter at most: then they go
// through the coordinator (Relay), and at once to a peer whose link broke or could not be had under the plan before.
// Dialling goes on, ever more seldom, as long as the plan names the peer, and a link that is had takes over.
//
// Steps must not overtake each other. So before a link takes over from the relay, a probe goes through the relay behind
// the last step, and frames wait until the peer has answered it (it has taken all steps before it by then).
//
// A direct link that breaks is reported (on_broken): the steps on it may be lost; what comes after goes through the
// coordinator. Runs on the io thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <boost/asio/steady_timer.hpp>

#include "net/transport.h"

namespace shoal::node {

inline constexpr std::size_t kPendingFramesMax = 256;
inline constexpr Duration kRelayAfter = std::chrono::seconds(1);
inline constexpr Duration kTakeOverMax = std::chrono::seconds(3);  // the probe's answer; else the relay goes on

// As telemetry tells a link's round trip.
std::optional<std::uint32_t> rtt_us_of(const net::Link& link);

class DataLinks {
 public:
  struct Handlers {
    std::function<void(const wire::LinkReport&)> on_report;  // direct or not, and why: for the coordinator
    std::function<void(Epoch, const Error&)> on_broken;
    std::function<void(const NodeId& peer, Bytes frame)> relay;  // sends a frame through the coordinator
  };

  DataLinks(boost::asio::io_context& io, net::Transport& transport, Handlers handlers);
  ~DataLinks();

  // Dials what the plan needs of `self`, and lets go of links that it does not.
  void set_plan(const wire::Plan& plan, const NodeId& self);
  void send(const NodeId& peer, const wire::Message& message, std::shared_ptr<const Bytes> raw);
  // How frames get to this peer; nullopt while it is being dialled, and of who is no successor.
  std::optional<bool> is_direct(const NodeId& peer) const;
  std::size_t queued_bytes(const NodeId& peer) const;  // on its direct link; 0 when there is none
  std::vector<NeighbourTelemetry> neighbours() const;  // the successors, at most kNeighboursMax of them
  // An answer to a probe that came through the coordinator. false: the probe was none of this class's.
  bool on_relay_probed(const NodeId& peer, const wire::LinkProbed& probed);
  // Who gets the answers to probes that came over direct links.
  void on_probed(std::function<void(const NodeId& peer, const wire::LinkProbed&)> handler);
  // Called every half second: links that carried no step for a while may doze.
  void tick(std::chrono::steady_clock::time_point now);
  void close_all();

 private:
  // kTakingOver: a direct link is there, and the relay not known to be empty yet.
  enum class Way { kDialling, kDirect, kRelay, kTakingOver };
  struct Pending {
    wire::Message message;
    std::shared_ptr<const Bytes> raw;
  };
  struct Peer {
    Way way = Way::kDialling;
    std::shared_ptr<net::Link> link;
    std::vector<net::Endpoint> endpoints;
    std::size_t endpoint_next = 0;
    std::unique_ptr<boost::asio::steady_timer> retry;     // the next dialling
    std::unique_ptr<boost::asio::steady_timer> patience;  // with kDialling or kTakingOver
    Duration retry_pause{};
    std::chrono::steady_clock::time_point direct_since;
    bool relayed = false;  // frames went through the coordinator since the last direct link
    std::string why_not_direct;
    std::uint64_t take_over_probe = 0;
    std::deque<Pending> pending;
    std::chrono::steady_clock::time_point last_step;
    StageId from_stage;
    StageId to_stage;
    std::uint64_t generation = 0;  // of the dialling: answers of an older one are dropped
  };

  void start_dialling(const NodeId& id, Peer& peer);
  void dial_next(const NodeId& id, std::uint64_t generation);
  void on_dialled(const NodeId& id, std::uint64_t generation, Result<std::shared_ptr<net::Link>> link);
  void on_answered(const NodeId& id, Peer& peer);
  void on_closed(const NodeId& id, Peer& peer, const Error& error);
  void lose_patience_after(Duration wait, const NodeId& id, Peer& peer);
  void on_patience_lost(const NodeId& id, Peer& peer);
  void dial_again(const NodeId& id, Peer& peer, const Error& error);
  void dial_later(const NodeId& id, Peer& peer);
  Peer* find(const NodeId& id, std::uint64_t generation);
  void settle(const NodeId& id, Peer& peer, Way way);
  void relay(const NodeId& id, Peer& peer, const wire::Message& message, const std::shared_ptr<const Bytes>& raw);
  void transmit(const NodeId& id, Peer& peer, const wire::Message& message, const std::shared_ptr<const Bytes>& raw);

  boost::asio::io_context& io_;
  net::Transport& transport_;
  Handlers handlers_;
  std::function<void(const NodeId&, const wire::LinkProbed&)> on_probed_;
  Epoch epoch_;
  std::map<NodeId, Peer> peers_;
  std::uint64_t generation_ = 0;
  std::uint64_t take_over_probes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace shoal::node
