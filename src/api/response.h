// JSON that the API answers with: OpenAI's objects, and the state of the shoal. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "api/request.h"
#include "coordinator/completions.h"

namespace shoal::api {

std::string models_json(const std::string& name, std::int64_t created_unix_seconds, std::uint32_t context_tokens_max);
std::string model_json(const std::string& name, std::int64_t created_unix_seconds, std::uint32_t context_tokens_max);
std::string health_json(const coordinator::ClusterStatus& status);
std::string status_json(const coordinator::ClusterStatus& status);
std::string token_json(const coordinator::JoinTokenGrant& grant);
std::string net_bench_json(const coordinator::NetBench& bench);
std::string revoked_json(const NodeId& id);
std::string paused_json(const NodeId& id, bool paused);

// The JSON of one completion, as a whole or as the chunks of a stream. One object a completion.
class CompletionWriter {
 public:
  // `id` without its prefix.
  CompletionWriter(RequestKind kind, const std::string& id, std::int64_t created_unix_seconds, std::string model_name,
                   bool include_usage);

  // Chunks of a stream, as server-sent events ("data: {...}\n\n").
  std::string begin_event() const;                               // chat: the role; text: ""
  std::string delta_event(const coordinator::TextDelta& delta);  // "" when there is nothing to say
  std::string end_event(coordinator::FinishReason reason, const coordinator::Usage& usage,
                        const coordinator::Timings& timings) const;  // the last chunk, usage if asked for, [DONE]
  static std::string error_event(const ApiError& error);             // instead of the above, once a stream has begun

  // Not streaming: deltas are gathered, then given as one object.
  void add(coordinator::TextDelta delta);
  std::string whole(coordinator::FinishReason reason, const coordinator::Usage& usage,
                    const coordinator::Timings& timings);

 private:
  RequestKind kind_;
  std::string id_;
  std::int64_t created_;
  std::string model_name_;
  bool include_usage_;
  std::uint64_t text_offset_ = 0;  // characters of the tokens told so far, for OpenAI's text_offset
  coordinator::TextDelta gathered_;
};

}  // namespace shoal::api
