// `shoal join [LINK]`: this device becomes (or stays) a node.
#include <cstdio>

#include <unistd.h>

#include "cli/limits_options.h"
#include "cli/stop_signals.h"
#include "cli/verb.h"
#include "node/device.h"
#include "node/node.h"
#include "node/scenario_device.h"
#include "node/system_device.h"

namespace shoal::cli {
namespace {

struct Options {
  std::string link;
  std::string memory;
  std::uint32_t threads = 0;
  std::string name;
  std::string state;
  std::string model;
  std::string listen = "0.0.0.0:0";
  std::string announce;
  std::string journal;
  OwnerLimits limits;
  std::string device_scenario;
  bool until_stdin_closes = false;
};

// One line an event; a bar that redraws itself while a shard comes in, where there is a terminal.
class Display {
 public:
  void set_title(std::string title) { title_ = std::move(title); }

  void show(const node::NodeEvent& event) {
    using Kind = node::NodeEvent::Kind;
    // Who we are comes with the first news: a link that is refused leaves one line, the error's.
    if (std::string title = std::exchange(title_, {}); !title.empty()) std::fprintf(stderr, "%s\n", title.c_str());
    if (event.kind == Kind::kFetching) return show_progress(event);
    end_bar();
    std::fprintf(stderr, "%s\n", event.text.c_str());
  }

 private:
  void show_progress(const node::NodeEvent& event) {
    constexpr int kWidth = 30;
    bool loading = event.text == "loading";
    if (!terminal_) {
      if (loading && !said_loading_) std::fprintf(stderr, "loading %s\n", format_size(event.bytes_total).c_str());
      said_loading_ = loading;
      return;
    }
    double share =
        event.bytes_total > 0 ? static_cast<double>(event.bytes_done) / static_cast<double>(event.bytes_total) : 1;
    int filled = static_cast<int>(share * kWidth);
    std::string bar(static_cast<std::size_t>(filled), '#');
    bar.append(static_cast<std::size_t>(kWidth - filled), '.');
    std::fprintf(stderr, "\r\033[K%s [%s] %3.0f%%  %s of %s", event.text.c_str(), bar.c_str(), share * 100,
                 format_size(event.bytes_done).c_str(), format_size(event.bytes_total).c_str());
    bar_open_ = true;
  }
  void end_bar() {
    if (std::exchange(bar_open_, false)) std::fprintf(stderr, "\n");
    said_loading_ = false;
  }

  std::string title_;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  bool bar_open_ = false;
  bool said_loading_ = false;
};

Result<std::shared_ptr<node::DeviceSource>> device_source(boost::asio::io_context& io, const Options& options) {
  if (options.device_scenario.empty()) {
    return std::shared_ptr<node::DeviceSource>(
        std::make_shared<node::SystemDevice>(io, node::SystemDevice::Options::of_this_system()));
  }
  SHOAL_ASSIGN_OR_RETURN(auto scenario, node::ScenarioDevice::open(options.device_scenario));
  return std::shared_ptr<node::DeviceSource>(std::move(scenario));
}

Status join(const Options& options) {
  node::NodeOptions node_options;
  node_options.state_directory =
      options.state.empty() ? default_state_directory("node") : std::filesystem::path(options.state);
  if (!options.link.empty()) {
    SHOAL_ASSIGN_OR_RETURN(node_options.join_link, net::JoinLink::parse(options.link));
  }
  node_options.name = options.name.empty() ? node::device_name() : options.name;
  if (node_options.name.size() > wire::kNameBytesMax) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("--name has more than {} bytes", wire::kNameBytesMax)};
  }
  node_options.memory_bytes_max = node::default_memory_bytes_max();
  if (!options.memory.empty()) {
    SHOAL_ASSIGN_OR_RETURN(node_options.memory_bytes_max, parse_size(options.memory));
  }
  node_options.threads = options.threads;
  if (!options.journal.empty()) {
    SHOAL_ASSIGN_OR_RETURN(node_options.journal_bytes_max, parse_size(options.journal));
  }
  SHOAL_ASSIGN_OR_RETURN(node_options.listen, net::Endpoint::parse(options.listen));
  if (!options.announce.empty()) {
    SHOAL_ASSIGN_OR_RETURN(node_options.announce, net::Endpoint::parse(options.announce));
  }
  if (!options.model.empty()) node_options.model = options.model;
  node_options.limits = options.limits;

  boost::asio::io_context io(1);
  SHOAL_ASSIGN_OR_RETURN(node_options.device, device_source(io, options));
  Status result;
  Display display;
  SHOAL_ASSIGN_OR_RETURN(auto node, node::Node::create(
                                        io, std::move(node_options),
                                        [&](const Error& error) {
                                          result = error;
                                          io.stop();
                                        },
                                        [&](const node::NodeEvent& event) { display.show(event); }));
  StopSignals stop(io, options.until_stdin_closes, [&] { io.stop(); });
  display.set_title(
      fmt::format("node {} ({})", node->id().short_hex(), options.name.empty() ? node::device_name() : options.name));
  node->start();
  io.run();
  return result;
}

}  // namespace

void add_join(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb =
      app.add_subcommand("join", "Make this device a node: pairs once, reconnects by itself until it is revoked");
  verb->add_option("link", options->link,
                   "The join link that `shoal token create` printed; needed the first time only");
  verb->add_option("--memory", options->memory,
                   "Memory that Shoal may use, as in 2GiB (default: 70 % of what is available)")
      ->check(check_size);
  verb->add_option("--threads", options->threads, "Compute threads (default: one for each big core)")
      ->check(CLI::Range(1u, 256u));
  verb->add_option("--journal", options->journal,
                   "Memory for what was sent to the next device, which a device that takes its place needs (64MiB)")
      ->check(check_size);
  verb->add_option("--name", options->name, "Name shown to people (default: the host name)");
  verb->add_option("--state", options->state, "Directory for the key, the pairing and the shards");
  verb->add_option("--model", options->model,
                   "The whole model's GGUF on this device, to cut shards from instead of fetching them");
  verb->add_option("--listen", options->listen,
                   "Address for links from other nodes, which are told this one; 0.0.0.0: all of this device")
      ->capture_default_str();
  verb->add_option("--announce", options->announce,
                   "ADDRESS:PORT that other nodes are told instead, where a port is forwarded to this device");
  add_limits(*verb, options->limits);
  verb->add_option("--device-scenario", options->device_scenario,
                   "For tests: tell what this JSON file says of battery, heat and load, and nothing that is so");
  verb->add_flag("--until-stdin-closes", options->until_stdin_closes,
                 "End when standard input ends (for scripts that start nodes)");
  verb->callback([options, &context] { finish(context, join(*options)); });
}

}  // namespace shoal::cli
