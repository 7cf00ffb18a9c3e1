// Result<T>: a value, or an Error with a code and one line for a person.
//
// For what can go wrong with peers, files, users and networks. A bug of our own is SHOAL_ASSERT's (base/assert.h).
// A message says what is wrong, where, and what to do; it has no trailing full stop and no newline.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace shoal {

// A code exists only where a caller reacts differently to it.
enum class ErrorCode {
  kInvalidArgument,    // the request can never work as it is
  kNotFound,           // the thing named is not there
  kAlreadyExists,      // a port, name or file is taken
  kCorrupt,            // data from outside breaks its format or its hash
  kUnsupported,        // understood, and not something this build can do
  kResourceExhausted,  // too little memory, disk, queue
  kUnavailable,        // a peer or a plan is not there now; trying later can help
  kUnauthenticated,    // unknown key, wrong, used or expired secret
  kVersionMismatch,    // the peer speaks another protocol version
  kDeadlineExceeded,   // a bounded wait ran out
  kCancelled,          // somebody asked for the end
  kInternal,           // none of the above: our own failure, reported instead of crashing
};

std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
  static_assert(!std::is_reference_v<T> && !std::is_same_v<T, Error>);

 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return SHOAL_ASSERT(ok()), std::get<0>(state_); }
  const T& value() const& { return SHOAL_ASSERT(ok()), std::get<0>(state_); }
  T&& value() && { return SHOAL_ASSERT(ok()), std::get<0>(std::move(state_)); }
  const Error& error() const& { return SHOAL_ASSERT(!ok()), std::get<1>(state_); }
  Error&& error() && { return SHOAL_ASSERT(!ok()), std::get<1>(std::move(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return SHOAL_ASSERT(!ok()), *error_; }
  Error&& error() && { return SHOAL_ASSERT(!ok()), std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace shoal

// Leaves the function with the error of `expression` (a Status), if it has one.
#define SHOAL_RETURN_IF_ERROR(expression)                                           \
  do {                                                                              \
    auto shoal_status = (expression);                                               \
    if (!shoal_status.ok()) return ::shoal::Error(std::move(shoal_status).error()); \
  } while (false)

#define SHOAL_CONCAT_INNER(a, b) a##b
#define SHOAL_CONCAT(a, b) SHOAL_CONCAT_INNER(a, b)
// SHOAL_ASSIGN_OR_RETURN(auto x, f()): x is f()'s value, or the function is left with its error.
#define SHOAL_ASSIGN_OR_RETURN(declaration, expression) \
  SHOAL_ASSIGN_OR_RETURN_INNER(SHOAL_CONCAT(shoal_result_, __LINE__), declaration, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): a name and a declaration take none.
#define SHOAL_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                         \
  if (!result.ok()) return ::shoal::Error(std::move(result).error()); \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)
