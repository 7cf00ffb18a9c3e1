#include "node/node.h"

#include <algorithm>

#include "base/log.h"
#include "engine/kernel_cost.h"
#include "engine/stage.h"
#include "net/discovery.h"
#include "net/piece_server.h"

namespace shoal::node {
namespace {

constexpr Duration kDialMax = std::chrono::seconds(3);
constexpr Duration kDiscoveryWindow = std::chrono::seconds(2);
constexpr std::size_t kAcceptedLinksMax = 256;

// Addresses that the coordinator announces and `endpoints` lacks.
void add_endpoints(std::vector<net::Endpoint>& endpoints, const std::vector<net::Announcement>& found,
                   const NodeId& id) {
  for (const auto& announcement : found) {
    if (announcement.id != id) continue;
    for (const auto& endpoint : announcement.endpoints) {
      bool known = std::find(endpoints.begin(), endpoints.end(), endpoint) != endpoints.end();
      if (!known && endpoints.size() < wire::kAddressesMax) endpoints.push_back(endpoint);
    }
  }
}

}  // namespace

Result<std::unique_ptr<Node>> Node::create(boost::asio::io_context& io, NodeOptions options,
                                           std::function<void(const Error&)> on_fatal,
                                           std::function<void(const NodeEvent&)> on_event) {
  SHOAL_RETURN_IF_ERROR(make_directories(options.state_directory));
  SHOAL_ASSIGN_OR_RETURN(net::Identity identity, net::Identity::load_or_create(options.state_directory));
  SHOAL_ASSIGN_OR_RETURN(auto membership, Membership::load(options.state_directory));
  if (!membership && !options.join_link) {
    return Error{
        ErrorCode::kInvalidArgument,
        "this device is in no shoal yet: run `shoal token create` where the coordinator runs and join with its link"};
  }
  // A link of another coordinator moves the device there; one of its own coordinator is not needed any more.
  if (membership && options.join_link && membership->coordinator != options.join_link->coordinator) membership.reset();
  SHOAL_ASSIGN_OR_RETURN(auto store, model::ShardStore::open(options.state_directory / "shards"));
  std::optional<model::Manifest> manifest;
  if (options.model) {
    SHOAL_ASSIGN_OR_RETURN(manifest, model::read_manifest(*options.model));
  }
  std::unique_ptr<Node> node(new Node(io, std::move(options), std::move(identity), std::move(store),
                                      std::move(on_fatal), std::move(on_event)));
  node->membership_ = std::move(membership);
  node->model_ = std::move(manifest);
  SHOAL_ASSIGN_OR_RETURN(node->listener_,
                         node->transport_.listen(
                             node->options_.listen, [raw = node.get()](const NodeId& id) { return raw->may_link(id); },
                             [raw = node.get()](std::shared_ptr<net::Link> link, wire::Frame first) {
                               raw->accept(std::move(link), std::move(first));
                             }));
  return node;
}

Node::Node(boost::asio::io_context& io, NodeOptions options, net::Identity identity,
           std::unique_ptr<model::ShardStore> store, std::function<void(const Error&)> on_fatal,
           std::function<void(const NodeEvent&)> on_event)
    : io_(io),
      options_(std::move(options)),
      transport_(io, std::move(identity)),
      store_(std::move(store)),
      on_fatal_(std::move(on_fatal)),
      on_event_(std::move(on_event)),
      retry_timer_(io),
      telemetry_timer_(io),
      jitter_(load_le<std::uint64_t>(transport_.identity().id().key.bytes.data())),
      stages_(
          io, transport_, *store_, options_.threads, options_.journal_bytes_max,
          [this](const wire::Message& message, std::shared_ptr<const Bytes> raw) {
            if (!control_ || !welcomed_) return;
            if (const auto* ready = std::get_if<wire::StageReady>(&message)) {
              tell({NodeEvent::Kind::kStageReady, fmt::format("stage ready, {}", format_size(ready->memory.total()))});
            } else if (const auto* progress = std::get_if<wire::StageProgress>(&message)) {
              tell({NodeEvent::Kind::kFetching, progress->loading ? "loading" : "fetching", progress->bytes_done,
                    progress->bytes_total});
            }
            control_->send(message, std::move(raw));
          },
          [this] { return coordinator_source(); }),
      prober_(io, stages_, [this] { return welcomed_ ? control_.get() : nullptr; }) {}

Node::~Node() {
  *alive_ = false;
  if (control_) control_->close();
  for (auto& [key, link] : accepted_) link->close();
}

void Node::start() {
  if (model_) hash_model();
  membership_ ? connect(0) : pair(0);
}

void Node::hash_model() {
  log_info("hashing {} to cut from it", options_.model->string());
  stages_.hold_shards(true);
  using Hashing = BackgroundTask<Result<std::vector<Digest>>>;
  hashing_ = std::make_unique<Hashing>(
      io_,
      [this](Hashing& task) { return model::hash_tensors(*model_, [&](std::uint64_t) { return !task.stopping(); }); },
      [this](Result<std::vector<Digest>> hashes) {
        hashing_.reset();
        if (!hashes.ok()) return on_fatal_(hashes.error());
        store_->add_model(*model_, *hashes);
        model_.reset();
        stages_.hold_shards(false);
      });
}

void Node::tell(NodeEvent event) {
  if (on_event_) on_event_(event);
}

// --- pairing ---

void Node::pair(std::size_t index) {
  const auto& endpoints = options_.join_link->endpoints;
  if (index >= endpoints.size()) return pair_by_discovery();
  transport_.dial(endpoints[index], options_.join_link->coordinator, kDialMax,
                  [this, alive = alive_, index](Result<std::shared_ptr<net::Link>> link) {
                    if (!*alive) return;
                    if (link.ok()) return on_pairing_link(std::move(*link), index);
                    pairing_error_ = link.error();
                    pair(index + 1);
                  });
}

// No address of the link answers (or it names none): the coordinator may announce itself under its key. Asked once.
void Node::pair_by_discovery() {
  if (std::exchange(pairing_looked_around_, true)) return on_fatal_(pairing_error_);
  net::discover(io_, kDiscoveryWindow, [this, alive = alive_](Result<std::vector<net::Announcement>> found) {
    if (!*alive) return;
    auto& endpoints = options_.join_link->endpoints;
    std::size_t known = endpoints.size();
    if (found.ok()) add_endpoints(endpoints, *found, options_.join_link->coordinator);
    if (pairing_error_.message.empty()) {
      pairing_error_ = {ErrorCode::kUnavailable,
                        "the join link names no address and its coordinator announces none here"};
    }
    pair(known);
  });
}

void Node::on_pairing_link(std::shared_ptr<net::Link> link, std::size_t index) {
  control_ = std::move(link);
  net::Link::Handlers handlers;
  handlers.on_frame = [this, alive = alive_, index](wire::Frame frame) {
    const auto* accepted = std::get_if<wire::JoinAccepted>(&frame.message);
    if (!*alive || membership_ || !accepted) return;
    const net::Endpoint endpoint = options_.join_link->endpoints[index];
    paired(endpoint, accepted->coordinator_name);
  };
  handlers.on_closed = [this, alive = alive_](const Error& error) {
    if (!*alive || membership_) return;
    control_.reset();
    on_fatal_(error);  // a refusal's own words, when it was one
  };
  control_->start(std::move(handlers));
  control_->send(wire::JoinRequest{options_.join_link->secret, options_.name});
}

void Node::paired(const net::Endpoint& endpoint, std::string coordinator_name) {
  Membership membership{options_.join_link->coordinator, std::move(coordinator_name), options_.join_link->endpoints};
  auto& endpoints = membership.endpoints;
  std::stable_partition(endpoints.begin(), endpoints.end(), [&](const auto& known) { return known == endpoint; });
  if (auto status = membership.save(options_.state_directory); !status.ok()) return on_fatal_(status.error());
  membership_ = std::move(membership);
  options_.join_link.reset();
  tell({NodeEvent::Kind::kPaired, "paired with " + membership_->coordinator_name});
  if (auto link = std::exchange(control_, nullptr)) link->close();
  connect(0);
}

// --- the control link ---

void Node::connect(std::size_t index) {
  if (index >= membership_->endpoints.size()) return look_around();
  net::Endpoint endpoint = membership_->endpoints[index];
  transport_.dial(endpoint, membership_->coordinator, kDialMax,
                  [this, alive = alive_, index, endpoint](Result<std::shared_ptr<net::Link>> link) {
                    if (!*alive) return;
                    if (link.ok()) return on_control_link(std::move(*link), endpoint);
                    log_debug("coordinator at {}: {}", endpoint.text(), link.error().message);
                    connect(index + 1);
                  });
}

// The pinned key may have moved to another address: ask the LAN.
void Node::look_around() {
  net::discover(io_, kDiscoveryWindow, [this, alive = alive_](Result<std::vector<net::Announcement>> found) {
    if (!*alive) return;
    if (found.ok()) add_endpoints(membership_->endpoints, *found, membership_->coordinator);
    retry_later("no address of the coordinator answers");
  });
}

void Node::retry_later(const std::string& why) {
  if (!told_disconnected_) {
    tell({NodeEvent::Kind::kDisconnected, fmt::format("{}; trying again until it does", why)});
    told_disconnected_ = true;
  }
  auto pause = retry_pause_ / 2 + Duration(jitter_.below(static_cast<std::uint64_t>(retry_pause_.count() / 2 + 1)));
  retry_pause_ = std::min(retry_pause_ * 2, kRetryMax);
  retry_timer_.expires_after(pause);
  retry_timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (*alive && !error) connect(0);
  });
}

void Node::on_control_link(std::shared_ptr<net::Link> link, const net::Endpoint& endpoint) {
  control_ = std::move(link);
  welcomed_ = false;
  net::Link::Handlers handlers;
  handlers.on_frame = [this, alive = alive_](wire::Frame frame) {
    if (*alive) on_control_frame(std::move(frame));
  };
  handlers.on_closed = [this, alive = alive_](const Error& error) {
    if (*alive) on_control_closed(error);
  };
  control_->start(std::move(handlers));
  wire::Hello hello;
  hello.name = options_.name;
  hello.software = "shoal 0.1.0";
  hello.memory_bytes_max = options_.memory_bytes_max;
  hello.threads = options_.threads;
  const net::Endpoint dialled = options_.announce.value_or(listener_->endpoint());
  const bool on_all = dialled.host == "0.0.0.0" || dialled.host == "::";
  hello.data_port = dialled.port;
  hello.addresses = on_all ? net::local_addresses() : std::vector<std::string>{dialled.host};
  hello.kernel_family = engine::kernel_family();
  hello.limits = options_.limits;
  control_->send(hello);
  // What works now is tried first next time.
  auto& endpoints = membership_->endpoints;
  if (endpoints.empty() || endpoints.front() != endpoint) {
    endpoints.erase(std::remove(endpoints.begin(), endpoints.end(), endpoint), endpoints.end());
    endpoints.insert(endpoints.begin(), endpoint);
    if (auto status = membership_->save(options_.state_directory); !status.ok())
      log_warning("{}", status.error().message);
  }
}

void Node::on_control_closed(const Error& error) {
  control_.reset();
  welcomed_ = false;
  asked_types_.reset();
  telemetry_timer_.cancel();
  prober_.cancel();
  stages_.drop_all();
  // What its neighbours sent for that plan must not reach the next one: a coordinator that was started again counts
  // epochs, stages and steps from 1.
  close_links_of_strangers();
  log_info("control link lost: {}", error.message);
  // The word of the coordinator itself: its key was checked.
  if (error.code == ErrorCode::kUnauthenticated) return on_revoked(error);
  retry_later(error.message);
}

// Trying again cannot help; a join link that was given and not needed so far can.
void Node::on_revoked(const Error& error) {
  if (!options_.join_link) return on_fatal_(error);
  membership_.reset();
  pair(0);
}

void Node::on_control_frame(wire::Frame frame) {
  auto& message = frame.message;
  if (const auto* welcome = std::get_if<wire::Welcome>(&message)) {
    welcomed_ = true;
    options_.join_link.reset();  // was not needed
    told_disconnected_ = false;
    retry_pause_ = kRetryMin;
    telemetry_interval_ = std::chrono::milliseconds(std::clamp(welcome->telemetry_interval_ms, 100u, 60000u));
    tell({NodeEvent::Kind::kConnected, "connected to " + welcome->coordinator_name});
    send_telemetry();
  } else if (auto* plan = std::get_if<wire::Plan>(&message)) {
    stages_.set_plan(std::move(*plan));
    close_links_of_strangers();
  } else if (const auto* load = std::get_if<wire::LoadStage>(&message)) {
    stages_.load(*load);
  } else if (const auto* activations = std::get_if<wire::SetActivations>(&message)) {
    stages_.set_activations(*activations);
  } else if (const auto* replay = std::get_if<wire::Replay>(&message)) {
    stages_.replay(*replay);
  } else if (const auto* drop = std::get_if<wire::DropStage>(&message)) {
    stages_.drop(drop->stage);
  } else if (auto* probe = std::get_if<wire::ProbeKernels>(&message)) {
    probe_kernels(std::move(probe->types));
  } else if (auto* step = std::get_if<wire::Step>(&message)) {
    stages_.on_step(std::move(*step), std::move(frame.raw));
  } else if (const auto* relay = std::get_if<wire::Relay>(&message)) {
    on_relayed(relay->peer, frame.raw);
  } else if (const auto* order = std::get_if<wire::MeasureLink>(&message)) {
    prober_.measure(*order);
  } else if (const auto* linked = std::get_if<wire::LinkProbe>(&message)) {
    control_->send(wire::LinkProbed{linked->probe});
  } else if (const auto* probed = std::get_if<wire::LinkProbed>(&message)) {
    prober_.on_probed(control_->peer(), *probed);
  }
}

// What a node that reaches us through the coordinator only would say on its data link.
void Node::on_relayed(const NodeId& from, ByteSpan frame) {
  auto inner = wire::decode_frame(frame);
  if (!inner.ok() || !stages_.knows_peer(from)) return;
  if (auto* step = std::get_if<wire::Step>(&inner->message)) {
    stages_.on_step(std::move(*step), std::move(inner->raw));
  } else if (const auto* probe = std::get_if<wire::LinkProbe>(&inner->message)) {
    const wire::LinkProbed answer{probe->probe};
    control_->send(wire::Relay{from}, std::make_shared<const Bytes>(wire::encode_frame(answer, 0)));
  } else if (const auto* probed = std::get_if<wire::LinkProbed>(&inner->message)) {
    if (!stages_.links().on_relay_probed(from, *probed)) prober_.on_probed(from, *probed);
  }
}

// One measurement at a time. What is asked meanwhile, or by another control link, is measured after it: a cost is of
// the types that were asked for last, and goes to who asked.
void Node::probe_kernels(std::vector<WeightType> types) {
  asked_types_ = std::move(types);
  if (probing_) return;
  using Probing = BackgroundTask<KernelCost>;
  probing_ = std::make_unique<Probing>(
      io_,
      [types = *asked_types_](Probing& task) {
        return engine::measure_kernel_cost(types, [&task] { return task.stopping(); });
      },
      [this, types = *asked_types_](KernelCost cost) {
        probing_.reset();
        if (!asked_types_) return;  // the link that asked is gone
        if (*asked_types_ != types) return probe_kernels(*asked_types_);
        asked_types_.reset();
        control_->send(wire::KernelsProbed{std::move(cost)});
      });
}

Telemetry Node::telemetry() {
  Telemetry told;
  if (options_.device) told.device = options_.device->read(std::chrono::steady_clock::now());
  drop_implausible(told.device);
  told.coordinator_rtt_us = rtt_us_of(*control_);
  told.neighbours = stages_.links().neighbours();
  told.stages = stages_.telemetry();
  return told;
}

void Node::send_telemetry() {
  if (!control_ || !welcomed_) return;
  control_->send(telemetry());
  stages_.tick();
  telemetry_timer_.expires_after(telemetry_interval_);
  telemetry_timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (*alive && !error) send_telemetry();
  });
}

// --- links of peers ---

bool Node::may_link(const NodeId& peer) const {
  return stages_.knows_peer(peer) || (membership_ && membership_->coordinator == peer);
}

// A node that the plan names no more has nothing to say here: it left, or it was revoked.
void Node::close_links_of_strangers() {
  for (auto& [key, link] : accepted_) {
    if (!may_link(link->peer())) link->close();
  }
}

void Node::accept(std::shared_ptr<net::Link> link, wire::Frame first) {
  if (accepted_.size() >= kAcceptedLinksMax) return link->reject({ErrorCode::kResourceExhausted, "too many links"});
  net::Link* key = link.get();
  auto forget = [this, alive = alive_, key] {
    if (*alive) accepted_.erase(key);
  };
  accepted_.emplace(key, link);
  if (std::holds_alternative<wire::FetchHello>(first.message)) {
    net::serve_pieces(
        link,
        [this, alive = alive_](const Digest& sha256, std::uint64_t offset, std::uint32_t length) -> Result<Bytes> {
          if (!*alive) return Error{ErrorCode::kUnavailable, "the node is going away"};
          return read_piece(sha256, offset, length);
        },
        forget);
  } else if (std::holds_alternative<wire::DataHello>(first.message)) {
    net::Link::Handlers handlers;
    handlers.on_frame = [this, alive = alive_, key](wire::Frame frame) {
      if (!*alive) return;
      if (auto* step = std::get_if<wire::Step>(&frame.message)) {
        stages_.on_step(std::move(*step), std::move(frame.raw));
      } else if (const auto* probe = std::get_if<wire::LinkProbe>(&frame.message)) {
        key->send(wire::LinkProbed{probe->probe});
      }
    };
    handlers.on_closed = [forget](const Error&) { forget(); };
    link->start(std::move(handlers));
    link->send(first.message);  // the answer that it waits for: steps may come
  } else {
    link->reject({ErrorCode::kInvalidArgument, "a node takes data links and fetch links only"});
    accepted_.erase(key);
  }
}

Result<Bytes> Node::read_piece(const Digest& sha256, std::uint64_t offset, std::uint32_t length) const {
  auto location = store_->find(sha256);
  if (!location || offset >= location->size_bytes) return Error{ErrorCode::kNotFound, "not in this node's store"};
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_read(location->file));
  Bytes bytes(std::min<std::uint64_t>(length, location->size_bytes - offset));
  SHOAL_RETURN_IF_ERROR(file.read_at(location->offset + offset, bytes, location->file));
  return bytes;
}

FetchSource Node::coordinator_source() const {
  return {membership_->coordinator, "the coordinator", membership_->endpoints};
}

}  // namespace shoal::node
