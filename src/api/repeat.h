// Requests that may be asked again, also of a coordinator that was restarted: the headers Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header) and Last-Event-ID (server-sent events). The answer is computed again, to
// the same bits, from the seed that is kept under the key. Values only; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/error.h"
#include "api/request.h"
#include "base/sha256.h"
#include "coordinator/keyed_request.h"

namespace shoal::api {

// The id of an event: which it is, counted from 1, and a digest of all events up to it. So an answer that comes out
// another way (where answers are not exact) is never spliced to the one that a client has begun to read.
struct EventId {
  std::uint32_t number = 0;
  std::string digest;  // kDigestDigits hex digits

  static constexpr std::size_t kDigestDigits = 16;
  std::string text() const;  // "12.0123456789abcdef"
  static std::optional<EventId> parse(std::string_view text);
};

struct Repeat {
  std::string key;               // "": none, nothing is kept and events have no ids
  std::optional<EventId> after;  // the client has the events up to this one
};

// What the headers ask for; nullopt: not sent. A key is 1 to 128 visible ASCII characters; quotes around it, which the
// draft wants, are no part of it. 400 with the header's name as `param`.
ApiResult<Repeat> parse_repeat(const std::optional<std::string>& idempotency_key,
                               const std::optional<std::string>& last_event_id);

// Of the path and the body's bytes: another body is another request, even one that means the same.
Digest request_digest(RequestKind kind, std::string_view body);

// Whether the answer to what was kept is the answer to `fresh`, with the same key. 422: it was another request, the
// model or its settings have changed since, or the rest of an answer is asked for that nothing is known of.
std::optional<ApiError> check_repeat(const Repeat& repeat, const coordinator::KeyedRequest& kept,
                                     const coordinator::KeyedRequest& fresh);

// Gives the events of one stream their ids, and leaves out those that the client has.
class EventNumbers {
 public:
  explicit EventNumbers(const Repeat& repeat) : numbered_(!repeat.key.empty()), after_(repeat.after) {}

  // The event ("data: ...\n\n", or "") as it is to be sent; "" when it is not.
  std::string next(const std::string& event);
  bool skipping() const { return after_.has_value(); }
  // The event that the client had last came out another way: nothing more may be sent but an error.
  bool differs() const { return differs_; }

 private:
  bool numbered_;
  std::optional<EventId> after_;  // until it has been passed
  bool differs_ = false;
  std::uint32_t number_ = 0;
  Digest digest_;
};

}  // namespace shoal::api
