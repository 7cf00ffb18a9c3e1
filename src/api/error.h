// Errors as the HTTP API gives them: a status and OpenAI's error object {"error": {message, type, param, code}}.
// Values only; any thread.
#pragma once

#include <string>
#include <variant>

#include "base/result.h"

namespace shoal::api {

struct ApiError {
  unsigned status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param;           // the field of the request that is wrong; "" -> null
  std::string code;            // what a program may react to; "" -> null
  unsigned retry_after_s = 0;  // 0: no Retry-After header
};

template <typename T>
using ApiResult = std::variant<T, ApiError>;

// The coordinator's refusal or failure, as a client must see it: a full queue is 429, no feasible plan 503.
ApiError to_api_error(const Error& error);

// What who waits is told when the coordinator is asked to end: 503 "shutting_down".
ApiError shutting_down();

// The response body.
std::string error_json(const ApiError& error);

}  // namespace shoal::api
