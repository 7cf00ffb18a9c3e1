// For the integration tests: a whole shoal in one process. A coordinator and its nodes, each with its own state
// directory, key and links, on one event loop over TLS on loopback; only the stages compute on threads of their own.
//
// Nothing waits by sleeping: run_until() turns the event loop until a condition holds, or fails after its patience.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "coordinator/coordinator.h"
#include "model/test_models.h"
#include "node/node.h"

namespace shoal::test {

// The small random model that all integration tests serve: 8 layers, made once a program.
const std::filesystem::path& test_model();

// Tokens 3, 3 + step, ...: no text, but what a model of random weights takes as well as any.
std::vector<Token> prompt_of(std::size_t tokens, Token step = 7);

// What a client heard of one completion.
struct Heard final : coordinator::CompletionSink {
  std::string text;
  std::vector<std::pair<Token, double>> tokens;  // with the log-probabilities: they show the bits that led to a token
  std::optional<coordinator::FinishReason> reason;
  coordinator::Usage usage;
  std::optional<Error> error;
  std::size_t calls = 0;

  bool ended() const { return reason || error; }

  void on_tokens(coordinator::TextDelta delta) override;
  void on_end(coordinator::FinishReason why, coordinator::Usage used, coordinator::Timings timings) override;
  void on_error(Error what) override;
};

// Greedy; its tokens come with their log-probabilities.
coordinator::CompletionRequest request_of(std::vector<Token> prompt, std::uint32_t tokens_max);
// Drawn at temperature 1 with this seed.
coordinator::CompletionRequest sampled_request_of(std::vector<Token> prompt, std::uint32_t tokens_max,
                                                  std::uint64_t seed);

struct NodeSetup {
  std::string name;
  std::uint64_t memory_bytes_max = std::uint64_t{1} << 30;
  std::optional<net::Endpoint> announce = {};
};

class Shoal {
 public:
  // `nodes_min`: how many nodes the first plan waits for.
  explicit Shoal(std::uint32_t nodes_min, StageSettings settings = default_settings(), sched::Limits limits = {});
  ~Shoal();

  // 512 tokens of KV for up to 4 sequences.
  static StageSettings default_settings();

  // Starts a node: with a new join link, or, when it was here before, with what its state directory remembers.
  void start_node(const NodeSetup& setup);
  // As if the process had ended: its links close, its stages are gone.
  void stop_node(const std::string& name);
  // Starts `nodes_min` nodes named node-1, node-2, ... and waits until they serve.
  void serve();

  bool run_until(const std::function<bool()>& condition);
  bool run_until_serving();
  // Submits and waits for the end.
  std::shared_ptr<Heard> complete(coordinator::CompletionRequest request);
  std::shared_ptr<Heard> submit(coordinator::CompletionRequest request,
                                coordinator::CompletionHandle* handle = nullptr);

  coordinator::Coordinator& coordinator() { return *coordinator_; }
  coordinator::ClusterStatus status() const { return coordinator_->status(); }
  // The name of the node that hosts the plan's stage `index`.
  std::string host_of(std::size_t index) const { return status().plan->stages.at(index).node_name; }
  // What a node told since it was started last.
  const std::vector<node::NodeEvent>& events_of(const std::string& name) const { return running_.at(name).events; }
  std::filesystem::path state_of(const std::string& name) const { return folder_ / name; }

 private:
  struct Running {
    std::vector<node::NodeEvent> events;
    std::unique_ptr<node::Node> node;
  };

  model::TemporaryFolder folder_;
  boost::asio::io_context io_{1};
  SystemClock clock_;
  std::uint32_t nodes_min_;
  std::unique_ptr<coordinator::Store> store_;
  std::unique_ptr<coordinator::ModelSource> model_;
  net::Transport transport_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  std::map<std::string, Running> running_;
};

// The answers of a shoal of one node: what every other shoal must give.
std::vector<std::shared_ptr<Heard>> answers_of_one_node(const std::vector<coordinator::CompletionRequest>& requests);

// Equal text, tokens and log-probabilities, bit by bit, and the same end.
void expect_equal(const Heard& heard, const Heard& expected);

}  // namespace shoal::test
