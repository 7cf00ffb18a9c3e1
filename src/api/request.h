// From the body of POST /v1/chat/completions or /v1/completions to what the coordinator is asked for. Pure functions;
// any thread. Fields, defaults and limits are in docs/api.md; unknown fields are ignored, and null means absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/error.h"
#include "coordinator/completions.h"

namespace shoal::api {

inline constexpr std::size_t kJsonDepthMax = 32;
inline constexpr std::size_t kJsonValuesMax = 262'144;  // values in arrays and objects: memory is about 100 bytes each

enum class RequestKind { kChat, kText };

struct ApiRequest {
  RequestKind kind = RequestKind::kChat;
  std::string model;                         // "": not named
  std::vector<model::ChatMessage> messages;  // kChat
  std::string prompt;                        // kText, when prompt_tokens is empty
  std::vector<Token> prompt_tokens;          // kText
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
  model::SamplingParameters sampling;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> tokens_max;
  std::vector<std::string> stop;
  std::optional<std::uint32_t> logprobs;
  std::string user;
};

// 400 with the name of the field that is wrong.
ApiResult<ApiRequest> parse_request(RequestKind kind, std::string_view body);

// Chat template, tokens, and the limits of this model. An answer limit that the context has no room for is lowered to
// what is left. 404 model_not_found; 400 context_length_exceeded with the numbers; 400 where the template refuses.
ApiResult<coordinator::CompletionRequest> prepare_request(const ApiRequest& request,
                                                          const model::Vocabulary& vocabulary,
                                                          const std::string& model_name,
                                                          std::uint32_t context_tokens_max, std::uint64_t default_seed);

// Body of POST /shoal/v1/tokens: {"ttl_seconds": n}; an empty body or no such field: 600.
ApiResult<std::chrono::seconds> parse_token_request(std::string_view body);

}  // namespace shoal::api
