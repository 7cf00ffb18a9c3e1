#include "integration/shoal_in_process.h"

namespace shoal::test {
namespace {

// Far beyond what anything here takes, also under a sanitizer on a loaded machine.
constexpr auto kPatience = std::chrono::seconds(90);

template <typename T>
T value_of(Result<T> result) {
  if (result.ok()) return std::move(*result);
  ADD_FAILURE() << result.error().message;
  throw std::runtime_error(result.error().message);  // GoogleTest reports it; no test can go on
}

}  // namespace

const std::filesystem::path& test_model() {
  static model::TemporaryFolder folder;
  static const std::filesystem::path path = [] {
    auto options = model::small_model("llama");
    options.layers = 8;
    return model::write_model(options, folder / "model.gguf").at(0);
  }();
  return path;
}

std::vector<Token> prompt_of(std::size_t tokens, Token step) {
  std::vector<Token> prompt;
  for (std::size_t i = 0; i < tokens; ++i) prompt.push_back(3 + static_cast<Token>(i) * step % 30000);
  return prompt;
}

void Heard::on_tokens(coordinator::TextDelta delta) {
  EXPECT_FALSE(ended()) << "tokens after the last call";
  ++calls;
  text += delta.text;
  for (const auto& each : delta.logprobs) tokens.emplace_back(each.chosen.token, each.chosen.logprob);
}

void Heard::on_end(coordinator::FinishReason why, coordinator::Usage used, coordinator::Timings) {
  EXPECT_FALSE(ended()) << "two last calls";
  ++calls;
  reason = why;
  usage = used;
}

void Heard::on_error(Error what) {
  EXPECT_FALSE(ended()) << "two last calls";
  ++calls;
  error = std::move(what);
}

coordinator::CompletionRequest request_of(std::vector<Token> prompt, std::uint32_t tokens_max) {
  coordinator::CompletionRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.tokens_max = tokens_max;
  request.logprobs = 0;
  return request;
}

coordinator::CompletionRequest sampled_request_of(std::vector<Token> prompt, std::uint32_t tokens_max,
                                                  std::uint64_t seed) {
  auto request = request_of(std::move(prompt), tokens_max);
  request.sampling.temperature = 1;
  request.sampling.seed = seed;
  return request;
}

StageSettings Shoal::default_settings() {
  StageSettings settings;
  settings.context_tokens_max = 512;
  settings.kv_tokens_total = 512;
  settings.sequences_max = 4;
  settings.exact = ExactMode::kOn;
  return settings;
}

Shoal::Shoal(std::uint32_t nodes_min, StageSettings settings, sched::Limits limits)
    : nodes_min_(nodes_min), transport_(io_, net::Identity::generate()) {
  store_ = value_of(coordinator::Store::open(folder_ / "coordinator"));
  model_ = value_of(coordinator::ModelSource::open(test_model(), *store_));
  coordinator::CoordinatorOptions options;
  options.name = "test";
  options.cluster = {"127.0.0.1", 0};
  options.limits = limits;
  options.limits.settings = settings;
  options.limits.nodes_min = nodes_min;
  coordinator_ = value_of(coordinator::Coordinator::create(io_, clock_, transport_, *store_, *model_, options));
}

Shoal::~Shoal() = default;

void Shoal::start_node(const NodeSetup& setup) {
  node::NodeOptions options;
  options.state_directory = state_of(setup.name);
  options.name = setup.name;
  options.memory_bytes_max = setup.memory_bytes_max;
  options.threads = 1;
  options.listen = {"127.0.0.1", 0};
  options.announce = setup.announce;
  if (!std::filesystem::exists(options.state_directory)) {
    auto grant = value_of(coordinator_->create_token(std::chrono::minutes(1)));
    options.join_link = value_of(net::JoinLink::parse(grant.link));
  }
  Running& running = running_[setup.name];
  running.events.clear();
  running.node = value_of(node::Node::create(
      io_, std::move(options),
      [name = setup.name](const Error& error) { ADD_FAILURE() << name << ": " << error.message; },
      [&running](const node::NodeEvent& event) { running.events.push_back(event); }));
  running.node->start();
}

void Shoal::stop_node(const std::string& name) {
  running_.at(name).node.reset();
}

void Shoal::serve() {
  for (std::uint32_t i = 1; i <= nodes_min_; ++i) start_node({.name = "node-" + std::to_string(i)});
  ASSERT_TRUE(run_until_serving());
}

bool Shoal::run_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      ADD_FAILURE() << "the condition does not come true; the shoal says: " << to_string(status().state) << " "
                    << status().why_no_plan;
      return false;
    }
    io_.run_one_until(deadline);
  }
  return true;
}

bool Shoal::run_until_serving() {
  return run_until([&] { return status().state == coordinator::ClusterState::kServing; });
}

std::shared_ptr<Heard> Shoal::submit(coordinator::CompletionRequest request, coordinator::CompletionHandle* handle) {
  auto heard = std::make_shared<Heard>();
  auto submitted = coordinator_->submit(std::move(request), heard);
  EXPECT_TRUE(submitted.ok()) << submitted.error().message;
  if (submitted.ok() && handle != nullptr) *handle = *submitted;
  if (!submitted.ok()) heard->error = submitted.error();
  return heard;
}

std::shared_ptr<Heard> Shoal::complete(coordinator::CompletionRequest request) {
  auto heard = submit(std::move(request));
  run_until([&] { return heard->ended(); });
  return heard;
}

std::vector<std::shared_ptr<Heard>> answers_of_one_node(const std::vector<coordinator::CompletionRequest>& requests) {
  Shoal shoal(1);
  shoal.serve();
  std::vector<std::shared_ptr<Heard>> answers;
  for (const auto& request : requests) {
    answers.push_back(shoal.complete(request));
    EXPECT_FALSE(answers.back()->error) << answers.back()->error->message;
    EXPECT_FALSE(answers.back()->tokens.empty());
  }
  return answers;
}

void expect_equal(const Heard& heard, const Heard& expected) {
  EXPECT_FALSE(heard.error) << heard.error->message;
  EXPECT_EQ(heard.text, expected.text);
  EXPECT_EQ(heard.tokens, expected.tokens);
  EXPECT_EQ(heard.reason, expected.reason);
  EXPECT_EQ(heard.usage.completion_tokens, expected.usage.completion_tokens);
}

}  // namespace shoal::test
