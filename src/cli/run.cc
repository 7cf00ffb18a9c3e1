// `shoal run`: a throw-away local shoal of N node processes; the completion alone on standard output.
#include <cstdio>

#include <boost/asio/steady_timer.hpp>

#include "base/file.h"
#include "cli/child_process.h"
#include "cli/settings_options.h"
#include "cli/stop_signals.h"
#include "cli/temporary_directory.h"
#include "cli/verb.h"
#include "coordinator/coordinator.h"
#include "node/device.h"

namespace shoal::cli {
namespace {

struct Options {
  std::string model;
  std::uint32_t nodes = 2;
  std::string prompt;
  std::uint32_t max_tokens = 128;
  float temperature = 0;
  std::uint64_t seed = 0;
  std::uint32_t threads = 1;
  std::string memory;
  bool stats = false;
  SettingsOptions settings;
};

// Prints the completion as it comes and ends the loop.
class PrintingSink final : public coordinator::CompletionSink {
 public:
  PrintingSink(boost::asio::io_context& io, Status& result, bool stats) : io_(io), result_(result), stats_(stats) {}

  void on_tokens(coordinator::TextDelta delta) override {
    std::fwrite(delta.text.data(), 1, delta.text.size(), stdout);
    std::fflush(stdout);
  }
  void on_end(coordinator::FinishReason reason, coordinator::Usage usage, coordinator::Timings timings) override {
    if (reason == coordinator::FinishReason::kCancelled) return io_.stop();  // what ended it is told elsewhere
    std::printf("\n");
    if (stats_) {
      double rate = usage.completion_tokens > 1 ? (usage.completion_tokens - 1) / timings.answer_ms * 1000 : 0;
      std::fprintf(stderr, "[%u prompt tokens in %.0f ms, %u tokens at %.1f tokens/s]\n", usage.prompt_tokens,
                   timings.prompt_ms, usage.completion_tokens, rate);
    }
    io_.stop();
  }
  void on_error(Error error) override {
    result_ = std::move(error);
    io_.stop();
  }

 private:
  boost::asio::io_context& io_;
  Status& result_;
  bool stats_;
};

Result<std::vector<ChildProcess>> start_nodes(const Options& options, coordinator::Coordinator& coordinator,
                                              const std::filesystem::path& directory) {
  SHOAL_ASSIGN_OR_RETURN(std::string program, own_program());
  std::string memory = options.memory;
  if (memory.empty()) memory = std::to_string(node::default_memory_bytes_max() / options.nodes);
  std::vector<ChildProcess> nodes;
  for (std::uint32_t i = 0; i < options.nodes; ++i) {
    SHOAL_ASSIGN_OR_RETURN(auto grant, coordinator.create_token(std::chrono::minutes(10)));
    std::string name = fmt::format("node-{}", i + 1);
    SHOAL_ASSIGN_OR_RETURN(
        ChildProcess child,
        ChildProcess::start(
            {program, "join", grant.link, "--state", (directory / name).string(), "--name", name, "--memory", memory,
             "--threads", std::to_string(options.threads), "--listen", "127.0.0.1:0", "--until-stdin-closes",
             // Whoever runs it is there, and nothing could move away.
             "--battery-min", "0", "--temperature-max", "0", "--cpu-temperature-max", "0"},
            directory / (name + ".log")));
    nodes.push_back(std::move(child));
  }
  return nodes;
}

// The last line of a node's log: what it said before it ended.
std::string last_line(const std::filesystem::path& log) {
  auto read = read_file(log, 1 << 20);
  std::string text = read.ok() ? *read : std::string();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

// Looks every now and then whether the throw-away shoal can still answer: nobody will mend it, so there is nothing to
// wait for.
class Watch {
 public:
  Watch(boost::asio::io_context& io, std::vector<ChildProcess>& nodes, const coordinator::Coordinator& coordinator,
        const std::filesystem::path& directory, std::function<void(Error)> on_trouble)
      : timer_(io),
        nodes_(nodes),
        coordinator_(coordinator),
        directory_(directory),
        on_trouble_(std::move(on_trouble)) {
    look();
  }

 private:
  std::optional<Error> trouble() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].running()) continue;
      std::string name = fmt::format("node-{}", i + 1);
      return Error{ErrorCode::kUnavailable,
                   fmt::format("{} ended; it said last: {}", name, last_line(directory_ / (name + ".log")))};
    }
    // All are there and no plan works: too little memory, or a stage that cannot be loaded.
    auto status = coordinator_.status();
    auto away = [](const auto& node) { return node.state != coordinator::NodeState::kConnected; };
    bool stuck = status.state == coordinator::ClusterState::kNoPlan && status.nodes.size() == nodes_.size() &&
                 std::none_of(status.nodes.begin(), status.nodes.end(), away);
    looks_stuck_ = stuck ? looks_stuck_ + 1 : 0;
    if (looks_stuck_ < kLooksStuckMax) return {};
    return Error{ErrorCode::kUnavailable, status.why_no_plan};
  }
  void look() {
    if (auto error = trouble()) return on_trouble_(std::move(*error));
    timer_.expires_after(kLookEvery);
    timer_.async_wait([this](boost::system::error_code error) {
      if (!error) look();
    });
  }

  static constexpr Duration kLookEvery = std::chrono::milliseconds(200);
  static constexpr int kLooksStuckMax = 10;  // longer than the scheduler waits for more nodes before it plans

  boost::asio::steady_timer timer_;
  std::vector<ChildProcess>& nodes_;
  const coordinator::Coordinator& coordinator_;
  std::filesystem::path directory_;
  std::function<void(Error)> on_trouble_;
  int looks_stuck_ = 0;
};

Status run(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(auto directory, TemporaryDirectory::make());
  SHOAL_ASSIGN_OR_RETURN(auto store, coordinator::Store::open(directory.path() / "coordinator"));
  SHOAL_ASSIGN_OR_RETURN(auto model, coordinator::ModelSource::open(options.model, *store));
  boost::asio::io_context io(1);
  SystemClock clock;
  net::Transport transport(io, net::Identity::generate());
  coordinator::CoordinatorOptions coordinator_options;
  coordinator_options.name = "shoal run";
  coordinator_options.cluster = {"127.0.0.1", 0};
  SHOAL_RETURN_IF_ERROR(options.settings.apply_to(coordinator_options));
  SHOAL_ASSIGN_OR_RETURN(const auto drafts, options.settings.open_draft_model(io, model->vocabulary()));
  coordinator_options.drafts = drafts.get();
  coordinator_options.limits.nodes_min = options.nodes;
  coordinator_options.limits.keep_plan = true;  // its nodes are alike, and go with the answer
  SHOAL_ASSIGN_OR_RETURN(auto coordinator,
                         coordinator::Coordinator::create(io, clock, transport, *store, *model, coordinator_options));

  coordinator::CompletionRequest request;
  request.prompt = model->vocabulary().tokenize(options.prompt, true, true);
  request.sampling.temperature = options.temperature;
  request.sampling.seed = options.seed;
  SHOAL_RETURN_IF_ERROR(request.sampling.check());
  std::uint32_t context = coordinator->context_tokens_max();
  if (request.prompt.empty()) return Error{ErrorCode::kInvalidArgument, "the prompt is empty"};
  if (request.prompt.size() >= context) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the prompt has {} tokens, the context {}: shorten it or raise --context",
                             request.prompt.size(), context)};
  }
  request.tokens_max =
      std::min<std::uint32_t>(options.max_tokens, context - static_cast<std::uint32_t>(request.prompt.size()));

  Status result;
  SHOAL_ASSIGN_OR_RETURN(auto nodes, start_nodes(options, *coordinator, directory.path()));
  StopSignals stop(io, false, [&] {
    result = Error{ErrorCode::kCancelled, "interrupted"};
    io.stop();
  });
  auto submitted = coordinator->submit(std::move(request), std::make_shared<PrintingSink>(io, result, options.stats));
  if (!submitted.ok()) return submitted.error();
  Watch watch(io, nodes, *coordinator, directory.path(), [&](Error error) {
    result = std::move(error);
    io.stop();
  });
  io.run();
  return result;
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand(
      "run", "Complete a prompt on a throw-away local shoal; the completion alone on standard output");
  verb->add_option("--model", options->model, "The model: a GGUF file, or any part of a split set")->required();
  verb->add_option("--nodes", options->nodes, "Node processes to start")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  verb->add_option("--prompt", options->prompt, "The text to complete")->required();
  verb->add_option("--max-tokens", options->max_tokens, "Longest completion in tokens")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
  verb->add_option("--temperature", options->temperature, "0: always the likeliest token")->capture_default_str();
  verb->add_option("--seed", options->seed, "The same seed draws the same completion")->capture_default_str();
  verb->add_option("--threads", options->threads, "Compute threads of each node")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  verb->add_option("--memory", options->memory,
                   "Memory of each node, as in 2GiB (default: an equal share of what is there)")
      ->check(check_size);
  verb->add_flag("--stats", options->stats, "Tell the speed on stderr");
  options->settings.add_to(*verb);
  verb->callback([options, &context] { finish(context, run(*options)); });
}

}  // namespace shoal::cli
