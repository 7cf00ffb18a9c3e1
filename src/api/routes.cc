#include "api/routes.h"

#include <boost/asio/ip/address.hpp>

#include <fmt/format.h>

#include "api/response.h"
#include "base/sha256.h"

namespace shoal::api {
namespace {

using coordinator::CompletionService;

enum class Access { kOpen, kClient, kAdmin };

ApiError make_error(unsigned status, std::string message, std::string type, std::string code) {
  return {status, std::move(message), std::move(type), "", std::move(code), 0};
}

HttpResponse health(CompletionService& service, const HttpRequest&, std::string_view) {
  const coordinator::ClusterStatus status = service.status();
  return {status.state == coordinator::ClusterState::kServing ? 200u : 503u, health_json(status), {}};
}

HttpResponse models(CompletionService& service, const HttpRequest&, std::string_view) {
  return {
      200, models_json(service.model_name(), service.model_created_unix_seconds(), service.context_tokens_max()), {}};
}

HttpResponse one_model(CompletionService& service, const HttpRequest&, std::string_view id) {
  if (id != service.model_name()) {
    ApiError error = make_error(
        404,
        fmt::format("model \"{}\" does not exist here: the model is \"{}\"", id.substr(0, 200), service.model_name()),
        "invalid_request_error", "model_not_found");
    error.param = "model";
    return to_response(error);
  }
  return {
      200, model_json(service.model_name(), service.model_created_unix_seconds(), service.context_tokens_max()), {}};
}

HttpResponse cluster_status(CompletionService& service, const HttpRequest&, std::string_view) {
  return {200, status_json(service.status()), {}};
}

HttpResponse create_token(CompletionService& service, const HttpRequest& request, std::string_view) {
  ApiResult<std::chrono::seconds> lifetime = parse_token_request(request.body);
  if (const ApiError* error = std::get_if<ApiError>(&lifetime)) return to_response(*error);
  Result<coordinator::JoinTokenGrant> grant = service.create_token(std::get<std::chrono::seconds>(lifetime));
  if (!grant.ok()) return to_response(to_api_error(grant.error()));
  return {200, token_json(*grant), {}};
}

// Of what was done with the node whose id `id` is.
template <typename Do>
HttpResponse with_node(std::string_view id, Do act, std::string (*json)(const NodeId&)) {
  const Result<Digest> key = Digest::from_hex(id);
  const Status done =
      key.ok() ? act(NodeId{*key})
               : Status(Error{ErrorCode::kNotFound,
                              fmt::format("{} is no node's id: those have 64 hex digits", id.substr(0, 200))});
  if (done.ok()) return {200, json(NodeId{*key}), {}};
  if (done.error().code != ErrorCode::kNotFound) return to_response(to_api_error(done.error()));
  return to_response(make_error(404, done.error().message, "invalid_request_error", "node_not_found"));
}

HttpResponse revoke_node(CompletionService& service, const HttpRequest&, std::string_view id) {
  return with_node(
      id, [&](const NodeId& node) { return service.revoke_node(node); }, revoked_json);
}

// ID/pause, ID/resume
HttpResponse change_node(CompletionService& service, const HttpRequest&, std::string_view rest) {
  const auto slash = rest.rfind('/');
  const std::string_view what = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (what != "pause" && what != "resume") {
    return to_response(make_error(404, "a node can be sent \"pause\" or \"resume\", as in /shoal/v1/nodes/ID/pause",
                                  "invalid_request_error", "not_found"));
  }
  const bool paused = what == "pause";
  return with_node(
      rest.substr(0, slash), [&](const NodeId& node) { return service.pause_node(node, paused); },
      paused ? +[](const NodeId& node) { return paused_json(node, true); }
             : +[](const NodeId& node) { return paused_json(node, false); });
}

enum class Work { kCompletion, kTrace, kNetBench, kEvents };

struct Route {
  std::string_view method;
  std::string_view path;  // one that ends with '/' takes whatever follows
  HttpResponse (*answer)(CompletionService&, const HttpRequest&, std::string_view rest);  // nullptr: takes its time
  Access access;
  RequestKind kind = RequestKind::kText;  // of a completion
  Work work = Work::kCompletion;          // that takes its time
};

constexpr Route kRoutes[] = {
    {"GET", "/health", health, Access::kOpen},
    {"GET", "/v1/models", models, Access::kClient},
    {"GET", "/v1/models/", one_model, Access::kClient},
    {"POST", "/v1/chat/completions", nullptr, Access::kClient, RequestKind::kChat},
    {"POST", "/v1/completions", nullptr, Access::kClient, RequestKind::kText},
    {"GET", "/shoal/v1/status", cluster_status, Access::kAdmin},
    {"GET", "/shoal/v1/events", nullptr, Access::kAdmin, RequestKind::kText, Work::kEvents},
    {"GET", "/shoal/v1/trace", nullptr, Access::kAdmin, RequestKind::kText, Work::kTrace},
    {"POST", "/shoal/v1/bench/net", nullptr, Access::kAdmin, RequestKind::kText, Work::kNetBench},
    {"POST", "/shoal/v1/tokens", create_token, Access::kAdmin},
    {"DELETE", "/shoal/v1/nodes/", revoke_node, Access::kAdmin},
    {"POST", "/shoal/v1/nodes/", change_node, Access::kAdmin},
};

// The path of a target, without query, percent-decoded (RFC 3986 §2.1); what cannot be decoded stays as it is.
std::string path_of(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string path;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] == '%' && i + 2 < target.size() && digit(target[i + 1]) >= 0 && digit(target[i + 2]) >= 0) {
      path += static_cast<char>(digit(target[i + 1]) * 16 + digit(target[i + 2]));
      i += 2;
    } else {
      path += target[i];
    }
  }
  return path;
}

// "[::1]:8080" -> "::1", "localhost:8080" -> "localhost"
std::string_view name_of_host(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

// Without a key, whoever reaches the port may ask. A web page that the user visits must not be among them: neither by
// a name that resolves to this machine (DNS rebinding) nor by a blind cross-site POST.
bool from_this_site(const HttpRequest& request) {
  const std::string_view name = name_of_host(request.host);
  boost::system::error_code no_address;
  boost::asio::ip::make_address(std::string(name), no_address);
  if (!request.host.empty() && no_address && name != "localhost") return false;
  return request.origin.empty() || request.origin == "http://" + request.host;
}

bool bearer_is(const HttpRequest& request, std::string_view key) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view given = request.authorization;
  return given.starts_with(kScheme) && same_secret(given.substr(kScheme.size()), key);
}

// nullopt: may ask.
std::optional<ApiError> refusal(Access access, const HttpRequest& request, const ServerConfig& config) {
  if (access == Access::kOpen) return {};
  if (access == Access::kAdmin && config.admin_key.empty()) {
    return make_error(403, "this server has no admin key: its admin endpoints are off", "permission_error", "no_admin");
  }
  const std::string& key = access == Access::kAdmin ? config.admin_key : config.api_key;
  if (key.empty()) {
    if (from_this_site(request)) return {};
    return make_error(403,
                      "without an API key only requests to an IP address or localhost are answered, and none from "
                      "other web sites: start the server with an API key",
                      "permission_error", "foreign_origin");
  }
  if (bearer_is(request, key)) return {};
  return make_error(
      401,
      access == Access::kAdmin
          ? "wrong or missing admin key: give it as `Authorization: Bearer KEY` (the coordinator keeps it "
            "in its state directory)"
          : "wrong or missing API key: give it as `Authorization: Bearer KEY`",
      "authentication_error", "invalid_api_key");
}

template <typename T>
Routed routed(const ApiResult<T>& parsed) {
  if (const ApiError* error = std::get_if<ApiError>(&parsed)) return to_response(*error);
  return std::get<T>(parsed);
}

struct Resolved {
  const Route* route = nullptr;
  std::string path;
};

std::variant<HttpResponse, Resolved> resolve(const HttpRequest& request, const ServerConfig& config) {
  const std::string path = path_of(request.target);
  std::string allowed;
  for (const Route& candidate : kRoutes) {
    const bool open_ended = candidate.path.ends_with('/');
    if (open_ended ? !path.starts_with(candidate.path) || path.size() == candidate.path.size()
                   : path != candidate.path) {
      continue;
    }
    if (candidate.method != request.method) {
      allowed = candidate.method;
      continue;
    }
    if (std::optional<ApiError> error = refusal(candidate.access, request, config)) return to_response(*error);
    return Resolved{&candidate, path};
  }
  if (allowed.empty()) {
    return to_response(
        make_error(404, fmt::format("nothing is at {}", path.substr(0, 200)), "invalid_request_error", "unknown_url"));
  }
  HttpResponse response = to_response(make_error(405, fmt::format("{} takes {}", path.substr(0, 200), allowed),
                                                 "invalid_request_error", "method_not_allowed"));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace

bool same_secret(std::string_view given, std::string_view expected) {
  const Digest a = Sha256::of(as_bytes(given)), b = Sha256::of(as_bytes(expected));
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.bytes.size(); ++i) difference |= static_cast<unsigned>(a.bytes[i] ^ b.bytes[i]);
  return difference == 0;
}

HttpResponse to_response(const ApiError& error) {
  HttpResponse response{error.status, error_json(error), {}};
  if (error.retry_after_s > 0) response.headers.emplace_back("Retry-After", std::to_string(error.retry_after_s));
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

std::optional<HttpResponse> refuse_early(const HttpRequest& request, const ServerConfig& config) {
  std::variant<HttpResponse, Resolved> resolved = resolve(request, config);
  if (HttpResponse* refused = std::get_if<HttpResponse>(&resolved)) return std::move(*refused);
  return std::nullopt;
}

Routed route(const HttpRequest& request, const ServerConfig& config, CompletionService& service) {
  std::variant<HttpResponse, Resolved> resolved = resolve(request, config);
  if (HttpResponse* refused = std::get_if<HttpResponse>(&resolved)) return std::move(*refused);
  const Resolved& found = std::get<Resolved>(resolved);
  if (found.route->work == Work::kNetBench) return NetBenchRequest{};
  if (found.route->work == Work::kTrace) return routed(parse_trace_request(request.target));
  if (found.route->work == Work::kEvents) return routed(parse_events_request(request.target));
  if (found.route->answer == nullptr) return found.route->kind;
  return found.route->answer(service, request, std::string_view(found.path).substr(found.route->path.size()));
}

}  // namespace shoal::api
