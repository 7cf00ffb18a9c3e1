// Which path answers what, and who may ask. No I/O: a request in, a response out, or the news that the request is a
// completion, a trace, a measuring of links or a look at the events (which connection.cc runs). On the io thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/error.h"
#include "api/query.h"
#include "api/request.h"
#include "api/server.h"
#include "coordinator/completions.h"

namespace shoal::api {

struct HttpRequest {
  std::string method;
  std::string target;  // as sent: path and query
  std::string host;    // headers; "" where missing
  std::string origin;
  std::string authorization;
  std::optional<std::string> idempotency_key;
  std::optional<std::string> last_event_id;
  std::string body;
  bool http_1_0 = false;
  bool keep_alive = true;
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;  // JSON
  std::vector<std::pair<std::string, std::string>> headers;
};

HttpResponse to_response(const ApiError& error);

// What can be said before the body is read: an unknown path, a wrong method, a missing key. nullopt: go on.
std::optional<HttpResponse> refuse_early(const HttpRequest& request, const ServerConfig& config);

// What a request gets: an answer, or that connection.cc does the work and answers then.
struct NetBenchRequest {};
using Routed = std::variant<HttpResponse, RequestKind, TraceWindow, NetBenchRequest, EventsRequest>;
Routed route(const HttpRequest& request, const ServerConfig& config, coordinator::CompletionService& service);

// Whether both are the same, in a time that does not depend on where they differ.
bool same_secret(std::string_view given, std::string_view expected);

}  // namespace shoal::api
