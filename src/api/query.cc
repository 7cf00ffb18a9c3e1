#include "api/query.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "coordinator/trace.h"

namespace shoal::api {
namespace {

ApiError bad(std::string_view param, std::string message) {
  ApiError error;
  error.message = std::move(message);
  error.param = param;
  return error;
}

std::optional<std::string_view> find_field(std::string_view target, std::string_view name) {
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  std::optional<std::string_view> value;
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(field.size() + 1, query.size()));
    if (field.size() > name.size() && field.starts_with(name) && field[name.size()] == '=') {
      value = field.substr(name.size() + 1);
    }
  }
  return value;
}

// Leaves `into` as it is where there is no such field.
std::optional<ApiError> read_number(std::string_view target, std::string_view name, std::int64_t low, std::int64_t high,
                                    std::optional<std::int64_t>& into) {
  const auto text = find_field(target, name);
  if (!text) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (failure != std::errc() || end != text->data() + text->size() || number < low || number > high) {
    return bad(name, fmt::format("{} must be a whole number from {} to {}", name, low, high));
  }
  into = number;
  return std::nullopt;
}

}  // namespace

ApiResult<TraceWindow> parse_trace_request(std::string_view target) {
  std::optional<std::int64_t> seconds;
  if (auto error = read_number(target, "seconds", 1, coordinator::kTraceWindowMax.count(), seconds)) return *error;
  return seconds ? TraceWindow{std::chrono::seconds(*seconds)} : TraceWindow{};
}

ApiResult<EventsRequest> parse_events_request(std::string_view target) {
  constexpr std::int64_t kNumberMax = std::int64_t{1} << 53;
  std::optional<std::int64_t> after;
  std::optional<std::int64_t> limit;
  std::optional<std::int64_t> since_s;
  std::optional<std::int64_t> wait_s;
  if (auto error = read_number(target, "after", 0, kNumberMax, after)) return *error;
  if (auto error = read_number(target, "limit", 1, coordinator::kEventsPerPageMax, limit)) return *error;
  if (auto error = read_number(target, "since_s", 1, coordinator::kEventsSinceMax.count(), since_s)) return *error;
  if (auto error = read_number(target, "wait_s", 0, kEventsWaitMax.count(), wait_s)) return *error;
  if (wait_s && !after) return bad("wait_s", "wait_s waits for events after one that is known: give after too");
  EventsRequest request;
  if (after) request.query.after = static_cast<std::uint64_t>(*after);
  if (limit) request.query.limit = static_cast<std::size_t>(*limit);
  if (since_s) request.query.since = std::chrono::seconds(*since_s);
  request.wait = std::chrono::seconds(wait_s.value_or(0));
  return request;
}

}  // namespace shoal::api
