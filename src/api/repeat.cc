#include "api/repeat.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace shoal::api {
namespace {

ApiError error_of(unsigned status, std::string_view header, std::string_view code, std::string message) {
  return {status, std::move(message), "invalid_request_error", std::string(header), std::string(code), 0};
}

constexpr std::string_view kKeyHeader = "Idempotency-Key";
constexpr std::string_view kEventHeader = "Last-Event-ID";

bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

}  // namespace

std::string EventId::text() const {
  return fmt::format("{}.{}", number, digest);
}

std::optional<EventId> EventId::parse(std::string_view text) {
  EventId id;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, id.number);
  if (failure != std::errc() || id.number == 0 || rest == end || *rest != '.') return std::nullopt;
  id.digest.assign(rest + 1, end);
  const bool hex = std::all_of(id.digest.begin(), id.digest.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!hex || id.digest.size() != kDigestDigits) return std::nullopt;
  return id;
}

ApiResult<Repeat> parse_repeat(const std::optional<std::string>& idempotency_key,
                               const std::optional<std::string>& last_event_id) {
  Repeat repeat;
  if (idempotency_key) {
    std::string_view key = *idempotency_key;
    if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
    if (key.empty() || key.size() > coordinator::kIdempotencyKeyBytesMax ||
        !std::all_of(key.begin(), key.end(), is_visible)) {
      return error_of(400, kKeyHeader, "invalid_idempotency_key",
                      fmt::format("{} must be one key of 1 to {} visible ASCII characters, without spaces", kKeyHeader,
                                  coordinator::kIdempotencyKeyBytesMax));
    }
    repeat.key = key;
  }
  if (last_event_id) {
    repeat.after = EventId::parse(*last_event_id);
    if (!repeat.after) {
      return error_of(400, kEventHeader, "invalid_last_event_id",
                      fmt::format("{} must be the id of an event of an earlier answer to this request", kEventHeader));
    }
    if (repeat.key.empty()) {
      return error_of(400, kEventHeader, "invalid_last_event_id",
                      fmt::format("{} needs the {} that the answer was asked for with", kEventHeader, kKeyHeader));
    }
  }
  return repeat;
}

Digest request_digest(RequestKind kind, std::string_view body) {
  Sha256 sha;
  sha.update(as_bytes(kind == RequestKind::kChat ? "chat:" : "text:"));
  return sha.update(as_bytes(body)).finish();
}

std::optional<ApiError> check_repeat(const Repeat& repeat, const coordinator::KeyedRequest& kept,
                                     const coordinator::KeyedRequest& fresh) {
  if (kept.request != fresh.request) {
    return error_of(422, kKeyHeader, "idempotency_key_reused",
                    "another request was asked with this Idempotency-Key: take a new key for another path or body");
  }
  if (kept.decided_by != fresh.decided_by) {
    return error_of(422, kKeyHeader, "model_changed",
                    "the model or its settings have changed since this Idempotency-Key was used, and the answer would "
                    "be another one: ask with a new key");
  }
  if (repeat.after && kept == fresh) {
    return error_of(422, kEventHeader, "idempotency_key_unknown",
                    "nothing is known of an answer with this Idempotency-Key (any more): ask without Last-Event-ID for "
                    "a new one from its start");
  }
  return std::nullopt;
}

std::string EventNumbers::next(const std::string& event) {
  if (!numbered_ || event.empty()) return event;
  if (differs_) return "";
  ++number_;
  digest_ = Sha256().update(digest_.bytes).update(as_bytes(event)).finish();
  const EventId id{number_, digest_.hex().substr(0, EventId::kDigestDigits)};
  if (after_) {
    if (number_ < after_->number) return "";
    differs_ = id.digest != after_->digest;
    if (!differs_) after_.reset();
    return "";
  }
  return fmt::format("id: {}\n{}", id.text(), event);
}

}  // namespace shoal::api
