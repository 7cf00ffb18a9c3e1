// SHOAL_ASSERT: for our own bugs. Stays on in release; never guards data that came from outside.
#pragma once

namespace shoal {
// Prints where and what to stderr and aborts.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace shoal

#define SHOAL_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::shoal::assert_failed(#condition, __FILE__, __LINE__))
