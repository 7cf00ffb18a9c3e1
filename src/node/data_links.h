// Links to the nodes that come next in the plan, direct or through the coordinator.
//
// For every stage of ours whose successor lives on another node, a data link to that node is dialled when the plan
// arrives, and kept. Frames sent while it is being dialled wait (bounded by kPendingFramesMax). If no direct link can
// be had within kDirectMax, frames go through the coordinator (Relay) until the next plan; the way never changes within
// an epoch, because steps must not overtake each other. A direct link that breaks within an epoch is reported
// (on_broken): the steps on it may be lost; what comes after goes through the coordinator. Runs on the io thread.
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
  // Who gets the answers to probes that came over direct links.
  void on_probed(std::function<void(const NodeId& peer, const wire::LinkProbed&)> handler);
  // Called every half second: links that carried no step for a while may doze.
  void tick(std::chrono::steady_clock::time_point now);
  void close_all();

 private:
  enum class Way { kDialling, kDirect, kRelay };
  struct Pending {
    wire::Message message;
    std::shared_ptr<const Bytes> raw;
  };
  struct Peer {
    Way way = Way::kDialling;
    std::shared_ptr<net::Link> link;
    std::vector<net::Endpoint> endpoints;
    std::size_t endpoint_next = 0;
    std::chrono::steady_clock::time_point dial_until;
    std::unique_ptr<boost::asio::steady_timer> retry;
    std::deque<Pending> pending;
    std::chrono::steady_clock::time_point last_step;
    StageId from_stage;
    StageId to_stage;
    std::uint64_t generation = 0;  // of the dialling: answers of an older one are dropped
  };

  void start_dialling(const NodeId& id, Peer& peer);
  void dial_next(const NodeId& id, std::uint64_t generation);
  void on_dialled(const NodeId& id, std::uint64_t generation, Result<std::shared_ptr<net::Link>> link);
  void dial_again(const NodeId& id, Peer& peer, const Error& error);
  Peer* find(const NodeId& id, std::uint64_t generation);
  void settle(const NodeId& id, Peer& peer, Way way, const std::string& reason);
  void transmit(const NodeId& id, Peer& peer, const wire::Message& message, const std::shared_ptr<const Bytes>& raw);

  boost::asio::io_context& io_;
  net::Transport& transport_;
  Handlers handlers_;
  std::function<void(const NodeId&, const wire::LinkProbed&)> on_probed_;
  Epoch epoch_;
  std::map<NodeId, Peer> peers_;
  std::uint64_t generation_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace shoal::node
