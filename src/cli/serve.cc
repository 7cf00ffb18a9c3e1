// `shoal serve`: the coordinator and its API; with --host-memory also a node on this very device.
#include <cstdio>
#include <random>

#include <unistd.h>
#include <boost/asio/post.hpp>

#include "api/server.h"
#include "base/file.h"
#include "base/random.h"
#include "cli/api_client.h"
#include "cli/limits_options.h"
#include "cli/settings_options.h"
#include "cli/stop_signals.h"
#include "cli/verb.h"
#include "coordinator/coordinator.h"
#include "net/discovery.h"
#include "node/device.h"
#include "node/node.h"
#include "node/system_device.h"

namespace shoal::cli {
namespace {

constexpr Duration kLastWordsMax = std::chrono::seconds(2);

struct Options {
  std::string model;
  std::string listen = "127.0.0.1:8080";
  std::string cluster = "0.0.0.0:7420";
  std::string state;
  std::string name;
  std::string api_key;
  std::string host_memory;
  std::uint32_t host_threads = 0;
  OwnerLimits limits;
  std::uint32_t nodes = 1;
  std::uint32_t spares = 0;
  std::uint32_t replicas = 1;
  bool keep_plan = false;
  std::uint32_t plan_wait_s = 60;
  bool no_mdns = false;
  bool until_stdin_closes = false;
  SettingsOptions settings;
};

// The admin key of this state directory; made on the first start.
Result<std::string> admin_key(const std::filesystem::path& state) {
  auto path = state / "admin.key";
  auto known = read_file(path, 4096);
  if (known.ok() && !known->empty()) return *known;
  std::string key = to_base64url(secure_random(32));
  SHOAL_RETURN_IF_ERROR(write_file_atomic(path, key, 0600));
  return key;
}

// A node in this process: the same daemon as on a phone, joined over loopback, so that nothing about it is special.
Result<std::unique_ptr<node::Node>> host_node(boost::asio::io_context& io, const Options& options,
                                              const std::filesystem::path& state, coordinator::Coordinator& coordinator,
                                              std::function<void(const Error&)> on_fatal) {
  node::NodeOptions node;
  node.state_directory = state / "host";
  node.name = options.name + " (here)";
  SHOAL_ASSIGN_OR_RETURN(node.memory_bytes_max, parse_size(options.host_memory));
  node.threads = options.host_threads;
  node.model = options.model;
  node.limits = options.limits;
  node.device = std::make_shared<node::SystemDevice>(io, node::SystemDevice::Options::of_this_system());
  SHOAL_ASSIGN_OR_RETURN(auto grant, coordinator.create_token(std::chrono::minutes(1)));
  SHOAL_ASSIGN_OR_RETURN(net::JoinLink link, net::JoinLink::parse(grant.link));
  std::string host = coordinator.cluster_endpoint().host;
  if (host == "0.0.0.0" || host == "::") host = "127.0.0.1";
  link.endpoints = {{host, coordinator.cluster_endpoint().port}};
  node.join_link = std::move(link);
  return node::Node::create(io, std::move(node), std::move(on_fatal), {});
}

Status serve(Options options) {
  auto state = options.state.empty() ? default_state_directory("coordinator") : std::filesystem::path(options.state);
  if (options.name.empty()) options.name = node::device_name();
  SHOAL_ASSIGN_OR_RETURN(net::Endpoint listen, net::Endpoint::parse(options.listen));
  SHOAL_ASSIGN_OR_RETURN(net::Endpoint cluster, net::Endpoint::parse(options.cluster));
  SHOAL_RETURN_IF_ERROR(make_directories(state));
  SHOAL_ASSIGN_OR_RETURN(net::Identity identity, net::Identity::load_or_create(state));
  SHOAL_ASSIGN_OR_RETURN(auto store, coordinator::Store::open(state));
  SHOAL_ASSIGN_OR_RETURN(auto model, coordinator::ModelSource::open(options.model, *store));

  boost::asio::io_context io(1);
  SystemClock clock;
  net::Transport transport(io, identity);
  coordinator::CoordinatorOptions coordinator_options;
  coordinator_options.name = options.name;
  coordinator_options.cluster = cluster;
  SHOAL_RETURN_IF_ERROR(options.settings.apply_to(coordinator_options));
  SHOAL_ASSIGN_OR_RETURN(const auto drafts, options.settings.open_draft_model(io, model->vocabulary()));
  coordinator_options.drafts = drafts.get();
  coordinator_options.limits.nodes_min = options.nodes;
  coordinator_options.limits.spares = options.spares;
  coordinator_options.limits.replicas = options.replicas;
  coordinator_options.limits.keep_plan = options.keep_plan;
  coordinator_options.limits.plan_wait_max = std::chrono::seconds(options.plan_wait_s);
  SHOAL_ASSIGN_OR_RETURN(auto coordinator,
                         coordinator::Coordinator::create(io, clock, transport, *store, *model, coordinator_options));

  ApiAddress address;
  SHOAL_ASSIGN_OR_RETURN(address.admin_key, admin_key(state));
  address.api_key = options.api_key;
  api::ServerConfig api_config;
  api_config.host = listen.host;
  api_config.port = listen.port;
  api_config.api_key = options.api_key;
  api_config.admin_key = address.admin_key;
  api_config.random = [] { return load_le<std::uint64_t>(secure_random(8).data()); };
  SHOAL_ASSIGN_OR_RETURN(auto server, api::Server::start(io, *coordinator, clock, api_config));
  address.endpoint = {listen.host == "0.0.0.0" || listen.host == "::" ? "127.0.0.1" : listen.host, server->port()};
  SHOAL_RETURN_IF_ERROR(address.save(state));

  std::unique_ptr<net::Announcer> announcer;
  if (!options.no_mdns && cluster.host != "127.0.0.1") {
    auto started = net::Announcer::start(io, options.name, identity.id(), coordinator->cluster_endpoint().port);
    if (started.ok()) {
      announcer = std::move(*started);
    } else {
      log_warning("not announced on the LAN: {}", started.error().message);
    }
  }

  Status result;
  auto fatal = [&](const Error& error) {
    result = error;
    io.stop();
  };
  std::unique_ptr<node::Node> hosted;
  if (!options.host_memory.empty()) {
    // One that was revoked is out, as any other, until the next start pairs it again; the coordinator goes on.
    auto hosted_fatal = [&](const Error& error) {
      if (error.code != ErrorCode::kUnauthenticated) return fatal(error);
      log_warning("the stage here has ended: {}", error.message);
      boost::asio::post(io, [&hosted] { hosted.reset(); });
    };
    SHOAL_ASSIGN_OR_RETURN(hosted, host_node(io, options, state, *coordinator, hosted_fatal));
    hosted->start();
  }
  // Running answers end with a typed error, and clients are given a moment to take it.
  StopSignals stop(io, options.until_stdin_closes, [&] {
    coordinator->stop();
    server->stop(kLastWordsMax, [&] { io.stop(); });
  });
  std::fprintf(stderr, "serving %s at %s, nodes join at %s (shoal token create)\n", coordinator->model_name().c_str(),
               server->url().c_str(), coordinator->cluster_endpoint().text().c_str());
  io.run();
  return result;
}

}  // namespace

void add_serve(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand("serve", "Run the coordinator: owns the model, the plan and the API");
  verb->add_option("--model", options->model, "The model: a GGUF file, or any part of a split set")->required();
  verb->add_option("--listen", options->listen, "Address of the HTTP API")->capture_default_str();
  verb->add_option("--cluster", options->cluster, "Address that nodes dial")->capture_default_str();
  verb->add_option("--state", options->state,
                   "Directory of all that must outlive the coordinator: its key, paired nodes, tokens, "
                   "idempotency keys, events");
  verb->add_option("--name", options->name, "Name shown to people (default: the host name)");
  verb->add_option("--api-key", options->api_key, "Key that API clients must send; needed beyond loopback")
      ->envname("SHOAL_API_KEY");
  verb->add_option("--nodes", options->nodes, "Wait for so many nodes before the first plan")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  verb->add_option("--spares", options->spares,
                   "Leave so many nodes without layers, to take over from others, where the rest holds the model")
      ->check(CLI::Range(0u, 1024u))
      ->capture_default_str();
  verb->add_option(
          "--replicas", options->replicas,
          "Serve from so many pipelines beside each other, each with the whole model on nodes of its own, where "
          "the nodes can hold it so often: a node's loss then costs its pipeline only, and the answers in it go "
          "on in another")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  verb->add_flag("--keep-plan", options->keep_plan,
                 "Change the plan only when it must be: no layers for nodes that join, or that turn out faster");
  verb->add_option("--plan-wait", options->plan_wait_s,
                   "Seconds that a request waits for nodes when those that are there cannot hold the model")
      ->check(CLI::Range(1u, 86400u))
      ->capture_default_str();
  verb->add_option("--host-memory", options->host_memory,
                   "Host a stage on this device too, with so much memory, as in 2GiB")
      ->check(check_size);
  verb->add_option("--host-threads", options->host_threads,
                   "Compute threads of that stage (default: one for each big core)")
      ->check(CLI::Range(1u, 256u));
  add_limits(*verb->add_option_group("With --host-memory"), options->limits);
  verb->add_flag("--no-mdns", options->no_mdns, "Do not announce the coordinator on the LAN");
  verb->add_flag("--until-stdin-closes", options->until_stdin_closes,
                 "End when standard input ends (for scripts that start it)");
  options->settings.add_to(*verb);
  verb->callback([options, &context] { finish(context, serve(*options)); });
}

}  // namespace shoal::cli
