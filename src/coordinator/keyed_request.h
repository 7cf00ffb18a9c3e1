// What is kept of a request with an idempotency key, so that it can be computed again to the same bits: nothing of its
// answer, only what was chosen for it and what it was.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/sha256.h"

namespace shoal::coordinator {

inline constexpr std::int64_t kKeyedRequestsMax = 10'000;              // the newest are kept,
inline constexpr std::int64_t kKeyedRequestSecondsMax = 24 * 60 * 60;  // and for so long
inline constexpr std::size_t kIdempotencyKeyBytesMax = 128;

struct KeyedRequest {
  Digest request;                         // of path and body
  Digest decided_by;                      // what else decides the answer: CompletionService::decided_by()
  std::uint64_t seed = 0;                 // where the request names none
  std::uint64_t id = 0;                   // of the response
  std::int64_t created_unix_seconds = 0;  // the response's `created`, and when it was kept
  bool operator==(const KeyedRequest&) const = default;
};

}  // namespace shoal::coordinator
