#include "base/result.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace shoal {

void assert_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "shoal: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

std::string_view to_string(ErrorCode code) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "invalid_argument", "not_found",          "already_exists", "corrupt",
      "unsupported",      "resource_exhausted", "unavailable",    "unauthenticated",
      "version_mismatch", "deadline_exceeded",  "cancelled",      "internal"};
  auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "internal";
}

}  // namespace shoal
