// The node: a worker daemon on one device. Pairs once, keeps a control link to its coordinator for ever, hosts stages.
//
// States: pairing (only with a join link and no membership yet) -> connecting -> connected -> connecting ... A lost
// control link is dialled again with a growing, jittered pause (kRetryMin .. kRetryMax) at every known address, then at
// what mDNS finds under the pinned key; it gives up only when the coordinator itself says that it knows this device's
// key no more (it was revoked), and has no join link to pair with again. Everything runs on the io_context's thread but
// the stages' computing and what reads whole files: a model on this device is hashed on a thread of its own, and stages
// that are ordered meanwhile wait for it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/random.h"
#include "net/join_link.h"
#include "net/transport.h"
#include "node/device_source.h"
#include "node/link_prober.h"
#include "node/membership.h"
#include "node/stage_table.h"

namespace shoal::node {

inline constexpr Duration kRetryMin = std::chrono::milliseconds(200);
inline constexpr Duration kRetryMax = std::chrono::seconds(10);

struct NodeOptions {
  std::filesystem::path state_directory;
  std::optional<net::JoinLink> join_link;  // needed once
  std::string name;
  std::uint64_t memory_bytes_max = 0;
  std::uint32_t threads = 0;  // 0: the big cores
  std::uint64_t journal_bytes_max = kJournalBytesMax;
  net::Endpoint listen{"0.0.0.0", 0};          // for data and fetch links of peers
  std::optional<net::Endpoint> announce;       // what peers dial instead (a port that is forwarded here)
  std::optional<std::filesystem::path> model;  // the whole model on this device: pieces are cut from it
  OwnerLimits limits;                          // what the shoal may do with this device
  std::shared_ptr<DeviceSource> device;        // what telemetry tells of this device; none: all of that is unknown
};

// What a person at the terminal wants to see.
struct NodeEvent {
  enum class Kind { kPaired, kConnected, kDisconnected, kFetching, kStageReady };
  Kind kind;
  std::string text;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};

class Node {
 public:
  // `on_fatal` is called once when the node cannot go on (a join link that is refused, a key that was revoked, a model
  // that cannot be read); `on_event` may be empty.
  static Result<std::unique_ptr<Node>> create(boost::asio::io_context& io, NodeOptions options,
                                              std::function<void(const Error&)> on_fatal,
                                              std::function<void(const NodeEvent&)> on_event);
  ~Node();

  void start();
  const NodeId& id() const { return transport_.identity().id(); }

 private:
  Node(boost::asio::io_context& io, NodeOptions options, net::Identity identity,
       std::unique_ptr<model::ShardStore> store, std::function<void(const Error&)> on_fatal,
       std::function<void(const NodeEvent&)> on_event);

  void pair(std::size_t endpoint);
  void pair_by_discovery();
  void on_pairing_link(std::shared_ptr<net::Link> link, std::size_t endpoint);
  void paired(const net::Endpoint& endpoint, std::string coordinator_name);

  void connect(std::size_t endpoint);
  void on_control_link(std::shared_ptr<net::Link> link, const net::Endpoint& endpoint);
  void on_control_frame(wire::Frame frame);
  void on_relayed(const NodeId& from, ByteSpan frame);
  void on_control_closed(const Error& error);
  void on_revoked(const Error& error);
  void retry_later(const std::string& why);
  void look_around();
  void probe_kernels(std::vector<WeightType> types);
  Telemetry telemetry();
  void send_telemetry();

  void hash_model();
  bool may_link(const NodeId& peer) const;
  void close_links_of_strangers();
  void accept(std::shared_ptr<net::Link> link, wire::Frame first);
  Result<Bytes> read_piece(const Digest& sha256, std::uint64_t offset, std::uint32_t length) const;
  FetchSource coordinator_source() const;
  void tell(NodeEvent event);

  boost::asio::io_context& io_;
  NodeOptions options_;
  net::Transport transport_;
  std::unique_ptr<model::ShardStore> store_;
  std::function<void(const Error&)> on_fatal_;
  std::function<void(const NodeEvent&)> on_event_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::optional<Membership> membership_;
  std::unique_ptr<net::Listener> listener_;
  std::map<net::Link*, std::shared_ptr<net::Link>> accepted_;
  std::shared_ptr<net::Link> control_;
  bool welcomed_ = false;
  bool told_disconnected_ = false;
  Error pairing_error_;
  bool pairing_looked_around_ = false;
  boost::asio::steady_timer retry_timer_;
  boost::asio::steady_timer telemetry_timer_;
  Duration retry_pause_ = kRetryMin;
  Duration telemetry_interval_ = std::chrono::milliseconds(500);
  SplitMix64 jitter_;
  StageTable stages_;
  LinkProber prober_;
  std::optional<model::Manifest> model_;  // of options_.model, until it is hashed
  std::unique_ptr<BackgroundTask<Result<std::vector<Digest>>>> hashing_;
  std::optional<std::vector<WeightType>> asked_types_;  // by the control link that is open, not answered yet
  std::unique_ptr<BackgroundTask<KernelCost>> probing_;
};

}  // namespace shoal::node
