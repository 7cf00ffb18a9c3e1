// `shoal chat`: talk to the shoal in a terminal, or ask one question.
#include <chrono>
#include <cstdio>
#include <iostream>

#include <unistd.h>
#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/verb.h"

namespace shoal::cli {
namespace {

using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::string prompt;
  std::string system;
  std::string state;
  std::uint32_t max_tokens = 0;
  double temperature = -1;
  std::int64_t seed = -1;
  bool stats = false;
};

double seconds_since(SteadyClock::time_point from) {
  return std::chrono::duration<double>(SteadyClock::now() - from).count();
}

class Chat {
 public:
  Chat(ApiClient client, const Options& options) : client_(std::move(client)), options_(options) {
    if (!options.system.empty()) messages_.push_back({{"role", "system"}, {"content", options.system}});
  }

  // Streams one answer to standard output and keeps both sides for the next turn.
  Status ask(const std::string& question) {
    messages_.push_back({{"role", "user"}, {"content", question}});
    json body = {{"messages", messages_}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
    if (options_.max_tokens > 0) body["max_tokens"] = options_.max_tokens;
    if (options_.temperature >= 0) body["temperature"] = options_.temperature;
    if (options_.seed >= 0) body["seed"] = options_.seed;
    std::string answer;
    auto start = SteadyClock::now();
    double first_token_s = 0;
    std::uint32_t tokens = 0;
    const auto hear = [&](const json& event) {
      if (event.contains("usage") && event["usage"].is_object()) tokens = event["usage"].value("completion_tokens", 0u);
      if (!event.contains("choices") || event["choices"].empty()) return;
      const auto& delta = event["choices"][0]["delta"];
      if (!delta.contains("content") || !delta["content"].is_string()) return;
      std::string text = delta["content"];
      if (!text.empty() && first_token_s == 0) first_token_s = seconds_since(start);
      answer += text;
      std::fputs(text.c_str(), stdout);
      std::fflush(stdout);
    };
    const auto tell_of_break = [](const Error& why) {
      // In the middle of a line, on a terminal.
      std::fprintf(stderr, "%sshoal: %s; asking again for up to %lld s\n", ::isatty(STDERR_FILENO) ? "\n" : "",
                   why.message.c_str(), static_cast<long long>(ApiClient::kRetryMax.count()));
    };
    const auto status = client_.post_stream("/v1/chat/completions", body, hear, tell_of_break);
    std::printf("\n");
    SHOAL_RETURN_IF_ERROR(status);
    messages_.push_back({{"role", "assistant"}, {"content", answer}});
    if (options_.stats) print_stats(tokens, first_token_s, seconds_since(start));
    return {};
  }

 private:
  static void print_stats(std::uint32_t tokens, double first_token_s, double total_s) {
    double decode_s = total_s - first_token_s;
    double rate = tokens > 1 && decode_s > 0 ? (tokens - 1) / decode_s : 0;
    std::fprintf(stderr, "[%u tokens, first after %.0f ms, then %.1f tokens/s]\n", tokens, first_token_s * 1000, rate);
  }

  ApiClient client_;
  const Options& options_;
  json messages_ = json::array();
};

Status chat(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  Chat conversation(std::move(client), options);
  if (!options.prompt.empty()) return conversation.ask(options.prompt);
  bool terminal = ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO);
  if (terminal) std::printf("Ask away; an empty line or Ctrl-D ends.\n");
  std::string line;
  while (true) {
    if (terminal) {
      std::printf("> ");
      std::fflush(stdout);
    }
    if (!std::getline(std::cin, line) || line.empty()) return {};
    SHOAL_RETURN_IF_ERROR(conversation.ask(line));
  }
}

}  // namespace

void add_chat(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand(
      "chat",
      "Talk to the shoal: one question as an argument, or a conversation on standard input. When the "
      "coordinator is restarted meanwhile, the answer goes on");
  verb->add_option("prompt", options->prompt, "The question; without it a conversation, a line a turn");
  verb->add_option("--system", options->system, "The system message");
  verb->add_option("--max-tokens", options->max_tokens, "Longest answer in tokens");
  verb->add_option("--temperature", options->temperature, "0: always the likeliest token")
      ->check(CLI::Range(0.0, 10.0));
  verb->add_option("--seed", options->seed, "The same seed draws the same answer");
  verb->add_option("--state", options->state, "State directory of the coordinator");
  verb->add_flag("--stats", options->stats, "Tell time to first token and tokens per second on stderr");
  verb->callback([options, &context] { finish(context, chat(*options)); });
}

}  // namespace shoal::cli
