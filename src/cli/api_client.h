// The HTTP client of `shoal status`, `events`, `trace`, `bench`, `chat`, `token` and `node`: speaks to a coordinator's
// API. Blocking, one request at a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "net/transport.h"

namespace shoal::cli {

// Where a running coordinator can be reached; `serve` writes it into its state directory.
struct ApiAddress {
  net::Endpoint endpoint;
  std::string admin_key;
  std::string api_key;

  // Reads `state`/api.json. kNotFound: no coordinator has run with this state directory.
  static Result<ApiAddress> load(const std::filesystem::path& state);
  Status save(const std::filesystem::path& state) const;
};

class ApiClient {
 public:
  explicit ApiClient(ApiAddress address, std::filesystem::path state = {})
      : address_(std::move(address)), state_(std::move(state)) {}
  // Of the coordinator that runs with this state directory; "": the usual one. Errors: ApiAddress::load's.
  static Result<ApiClient> of(const std::string& state);

  // The answer's JSON. An answer that is not 200 becomes an Error with the server's own message: kCancelled where the
  // coordinator is shutting down, else kInternal. kUnavailable: nobody listens there, or the connection broke.
  Result<nlohmann::json> get(std::string_view path);
  Result<nlohmann::json> post(std::string_view path, const nlohmann::json& body);
  Result<nlohmann::json> remove(std::string_view path);  // DELETE
  // A streamed answer: `on_data` gets each `data:` payload but [DONE] and errors. Errors in the stream are as those of
  // get(). Where the connection breaks or the coordinator shuts down, and so little as for kRetryMax nothing new has
  // come, the rest is asked for again with an idempotency key, of the coordinator that runs with this state directory
  // then; `on_break` is told once a break.
  Status post_stream(std::string_view path, const nlohmann::json& body,
                     const std::function<void(const nlohmann::json& data)>& on_data,
                     const std::function<void(const Error& why)>& on_break);
  static constexpr std::chrono::seconds kRetryMax{60};

 private:
  ApiAddress address_;
  std::filesystem::path state_;  // "": the address does not change
};

// An answer for a program (as JSON) or a person (`print`). kVersionMismatch when `print` misses something in it, which
// then comes from another version.
Status print_answer(const nlohmann::json& answer, bool as_json,
                    const std::function<Status(const nlohmann::json& answer)>& print);

}  // namespace shoal::cli
