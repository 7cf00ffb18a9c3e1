// For tests: a coordinator that answers from a script, behind the real HTTP server. On the io thread.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/completions.h"

namespace shoal::api {

// Every byte is a token; token 256 ends generation. The template is "role: content\n" each, then "assistant:".
class ByteVocabulary final : public model::Vocabulary {
 public:
  static constexpr Token kEnd = 256;

  std::uint32_t size() const override { return 257; }
  std::vector<Token> tokenize(std::string_view text, bool, bool) const override {
    std::vector<Token> tokens;
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
  }
  std::string piece(Token token) const override {
    return token >= 0 && token < kEnd ? std::string(1, static_cast<char>(token)) : "";
  }
  bool ends_generation(Token token) const override { return token == kEnd; }
  bool has_chat_template() const override { return true; }
  Result<std::string> apply_chat_template(const std::vector<model::ChatMessage>& messages) const override {
    std::string text;
    for (const model::ChatMessage& message : messages) {
      if (message.role == "tool") return Error{ErrorCode::kInvalidArgument, "the template knows no tools"};
      text += message.role + ": " + message.content + "\n";
    }
    return text + "assistant:";
  }
};

class FakeCompletionService final : public coordinator::CompletionService {
 public:
  struct Submitted {
    coordinator::CompletionRequest request;
    std::shared_ptr<coordinator::CompletionSink> sink;
    bool cancelled = false;
  };

  const model::Vocabulary& vocabulary() const override { return vocabulary_; }
  std::string model_name() const override { return "org/fish-1B"; }
  std::int64_t model_created_unix_seconds() const override { return 1'700'000'000; }
  std::uint32_t context_tokens_max() const override { return 1000; }

  Digest decided_by() const override { return Sha256::of(as_bytes(model_bytes)); }
  Result<coordinator::KeyedRequest> claim_key(const std::string& key, const coordinator::KeyedRequest& fresh) override {
    if (claim_fails_with) return *claim_fails_with;
    return kept.emplace(key, fresh).first->second;
  }
  Result<coordinator::CompletionHandle> submit(coordinator::CompletionRequest request,
                                               std::shared_ptr<coordinator::CompletionSink> sink) override {
    if (refuse_with) return *refuse_with;
    submitted.push_back({std::move(request), std::move(sink)});
    return coordinator::CompletionHandle{submitted.size()};
  }
  void cancel(coordinator::CompletionHandle handle) override {
    ++cancel_calls;
    submitted.at(handle.value - 1).cancelled = true;
    submitted.at(handle.value - 1).sink.reset();
  }

  coordinator::ClusterStatus status() const override { return cluster; }
  Status start_trace() override {
    if (tracing) return Error{ErrorCode::kAlreadyExists, "a trace is being recorded"};
    tracing = true;
    return {};
  }
  coordinator::Trace stop_trace() override {
    tracing = false;
    return trace;
  }
  Status start_net_bench(std::function<void(coordinator::NetBench)> done) override {
    if (net_bench) return Error{ErrorCode::kAlreadyExists, "links are being measured"};
    net_bench = std::move(done);
    return {};
  }
  void cancel_net_bench() override { net_bench = nullptr; }
  Result<coordinator::EventPage> events(const coordinator::EventQuery& query) override {
    if (events_fail_with) return *events_fail_with;
    queries.push_back(query);
    coordinator::EventPage page{{}, told.size()};
    for (const coordinator::Event& event : told) {
      if (event.number > query.after.value_or(0) && page.events.size() < query.limit) page.events.push_back(event);
    }
    return page;
  }
  coordinator::EventWatch watch_events(std::function<void()> on_event) override {
    auto watch = std::make_shared<const std::function<void()>>(std::move(on_event));
    watches.push_back(watch);
    return watch;
  }
  // The event is there, and whoever watches is told.
  void tell(coordinator::Event event) {
    event.number = told.size() + 1;
    told.push_back(std::move(event));
    for (const auto& weak : watches) {
      if (const auto watch = weak.lock()) (*watch)();
    }
  }
  Result<coordinator::JoinTokenGrant> create_token(std::chrono::seconds lifetime) override {
    return coordinator::JoinTokenGrant{"shoal://127.0.0.1:7420/join?c=x&s=y", lifetime.count()};
  }

  Status revoke_node(const NodeId& id) override {
    if (const auto& nodes = cluster.nodes;
        std::none_of(nodes.begin(), nodes.end(), [&](const auto& node) { return node.id == id; }))
      return Error{ErrorCode::kNotFound, "no such node is paired here"};
    revoked.push_back(id);
    return {};
  }

  Status pause_node(const NodeId& id, bool paused) override {
    for (auto& node : cluster.nodes) {
      if (node.id != id) continue;
      node.paused = paused;
      return {};
    }
    return Error{ErrorCode::kNotFound, "no such node is paired here"};
  }

  std::vector<Submitted> submitted;
  std::vector<NodeId> revoked;
  std::string model_bytes = "the model";
  std::map<std::string, coordinator::KeyedRequest> kept;  // by idempotency key
  std::optional<Error> claim_fails_with;
  int cancel_calls = 0;
  std::optional<Error> refuse_with;
  coordinator::ClusterStatus cluster;
  bool tracing = false;
  coordinator::Trace trace;
  std::function<void(coordinator::NetBench)> net_bench;  // of who waits for it
  std::vector<coordinator::Event> told;
  std::vector<coordinator::EventQuery> queries;
  std::vector<std::weak_ptr<const std::function<void()>>> watches;
  std::optional<Error> events_fail_with;

 private:
  ByteVocabulary vocabulary_;
};

}  // namespace shoal::api
