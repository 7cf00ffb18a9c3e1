#include "api/error.h"

#include <nlohmann/json.hpp>

namespace shoal::api {

ApiError to_api_error(const Error& error) {
  struct Row {
    ErrorCode from;
    unsigned status;
    const char* type;
    const char* code;
    unsigned retry_after_s;
  };
  static constexpr Row kTable[] = {
      {ErrorCode::kInvalidArgument, 400, "invalid_request_error", "", 0},
      {ErrorCode::kUnsupported, 400, "invalid_request_error", "unsupported", 0},
      {ErrorCode::kResourceExhausted, 429, "rate_limit_error", "queue_full", 1},
      {ErrorCode::kUnavailable, 503, "service_unavailable_error", "no_feasible_plan", 5},
      {ErrorCode::kDeadlineExceeded, 503, "service_unavailable_error", "no_feasible_plan", 5},
      {ErrorCode::kCancelled, 503, "service_unavailable_error", "shutting_down", 5},
  };
  for (const Row& row : kTable) {
    if (row.from == error.code) return {row.status, error.message, row.type, "", row.code, row.retry_after_s};
  }
  return {500, error.message, "server_error", "", "internal_error", 0};
}

ApiError shutting_down() {
  return to_api_error({ErrorCode::kCancelled, "the coordinator is shutting down: ask again in a few seconds"});
}

std::string error_json(const ApiError& error) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  const Json body = {{"error",
                      {{"message", error.message},
                       {"type", error.type},
                       {"param", or_null(error.param)},
                       {"code", or_null(error.code)}}}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace shoal::api
