#include "cli/api_client.h"

#include <cstdio>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/verb.h"

namespace shoal::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t kAnswerBytesMax = 16u << 20;

Error unreachable(const net::Endpoint& endpoint, const boost::system::error_code& error) {
  return {ErrorCode::kUnavailable, fmt::format("no coordinator answers at {} ({}); is `shoal serve` running?",
                                               endpoint.text(), error.message())};
}

class Exchange {
 public:
  explicit Exchange(const ApiAddress& address) : address_(address), stream_(io_) {}

  Status send(http::verb verb, std::string_view path, std::string body, std::string_view key) {
    boost::system::error_code error;
    asio::ip::tcp::resolver resolver(io_);
    auto found = resolver.resolve(address_.endpoint.host, std::to_string(address_.endpoint.port), error);
    if (!error) stream_.connect(found, error);
    if (error) return unreachable(address_.endpoint, error);
    http::request<http::string_body> request(verb, boost::string_view(path.data(), path.size()), 11);
    request.set(http::field::host, address_.endpoint.text());
    request.set(http::field::connection, "close");
    if (!key.empty()) request.set(http::field::authorization, fmt::format("Bearer {}", key));
    if (verb == http::verb::post) request.set(http::field::content_type, "application/json");
    request.body() = std::move(body);
    request.prepare_payload();
    http::write(stream_, request, error);
    if (error) return unreachable(address_.endpoint, error);
    return {};
  }

  // The header, and the whole body unless it is a good stream.
  Status read_header() {
    boost::system::error_code error;
    parser_.body_limit(kAnswerBytesMax);
    http::read_header(stream_, buffer_, parser_, error);
    if (error) return unreachable(address_.endpoint, error);
    return {};
  }

  bool good() const { return parser_.get().result() == http::status::ok; }

  // More of the body; empty at its end.
  Result<std::string> read_some() {
    while (!parser_.is_done()) {
      std::array<char, 8192> chunk;
      auto& body = parser_.get().body();
      body.data = chunk.data();
      body.size = chunk.size();
      boost::system::error_code error;
      http::read_some(stream_, buffer_, parser_, error);
      if (error == http::error::need_buffer) error = {};
      if (error) return unreachable(address_.endpoint, error);
      std::size_t count = chunk.size() - body.size;
      if (count > 0) return std::string(chunk.data(), count);
    }
    return std::string();
  }

  Result<std::string> read_all() {
    std::string body;
    while (true) {
      SHOAL_ASSIGN_OR_RETURN(std::string more, read_some());
      if (more.empty()) return body;
      body += more;
    }
  }

  // The server's own words for a refusal.
  Error refusal() {
    auto body = read_all();
    auto json = nlohmann::json::parse(body.ok() ? *body : "", nullptr, false);
    std::string message = fmt::format("the coordinator answered {}", parser_.get().result_int());
    if (json.is_object() && json.contains("error") && json["error"].is_object()) {
      message = json["error"].value("message", message);
    }
    return {ErrorCode::kUnavailable, message};
  }

 private:
  const ApiAddress& address_;
  asio::io_context io_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::response_parser<http::buffer_body> parser_;
};

Result<nlohmann::json> call(const ApiAddress& address, http::verb verb, std::string_view path, std::string body) {
  Exchange exchange(address);
  bool admin = path.starts_with("/shoal/");
  SHOAL_RETURN_IF_ERROR(exchange.send(verb, path, std::move(body), admin ? address.admin_key : address.api_key));
  SHOAL_RETURN_IF_ERROR(exchange.read_header());
  if (!exchange.good()) return exchange.refusal();
  SHOAL_ASSIGN_OR_RETURN(std::string answer, exchange.read_all());
  auto json = nlohmann::json::parse(answer, nullptr, false);
  if (json.is_discarded()) return Error{ErrorCode::kCorrupt, "the coordinator's answer is no JSON"};
  return json;
}

}  // namespace

Result<ApiAddress> ApiAddress::load(const std::filesystem::path& state) {
  auto text = read_file(state / "api.json", 64 << 10);
  if (!text.ok()) {
    return Error{ErrorCode::kNotFound, fmt::format("no coordinator has run with the state directory {}; start one with "
                                                   "`shoal serve --model FILE` or name its --state",
                                                   state.string())};
  }
  auto json = nlohmann::json::parse(*text, nullptr, false);
  ApiAddress address;
  if (!json.is_object())
    return Error{ErrorCode::kCorrupt, (state / "api.json").string() + " is damaged; restart the coordinator"};
  auto text_of = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
  };
  SHOAL_ASSIGN_OR_RETURN(address.endpoint, net::Endpoint::parse(text_of("api")));
  address.admin_key = text_of("admin_key");
  address.api_key = text_of("api_key");
  return address;
}

Status ApiAddress::save(const std::filesystem::path& state) const {
  nlohmann::json json = {{"api", endpoint.text()}, {"admin_key", admin_key}, {"api_key", api_key}};
  return write_file_atomic(state / "api.json", json.dump(2) + "\n", 0600);
}

Result<ApiClient> ApiClient::of(const std::string& state) {
  SHOAL_ASSIGN_OR_RETURN(ApiAddress address, ApiAddress::load(state.empty() ? default_state_directory("coordinator")
                                                                            : std::filesystem::path(state)));
  return ApiClient(std::move(address));
}

Result<nlohmann::json> ApiClient::get(std::string_view path) {
  return call(address_, http::verb::get, path, "");
}

Result<nlohmann::json> ApiClient::post(std::string_view path, const nlohmann::json& body) {
  return call(address_, http::verb::post, path, body.dump());
}

Result<nlohmann::json> ApiClient::remove(std::string_view path) {
  return call(address_, http::verb::delete_, path, "");
}

Status ApiClient::post_stream(std::string_view path, const nlohmann::json& body,
                              const std::function<bool(const std::string&)>& on_data) {
  Exchange exchange(address_);
  SHOAL_RETURN_IF_ERROR(exchange.send(http::verb::post, path, body.dump(), address_.api_key));
  SHOAL_RETURN_IF_ERROR(exchange.read_header());
  if (!exchange.good()) return exchange.refusal();
  std::string lines;
  while (true) {
    SHOAL_ASSIGN_OR_RETURN(std::string more, exchange.read_some());
    if (more.empty()) return {};
    lines += more;
    if (lines.size() > kAnswerBytesMax) return Error{ErrorCode::kCorrupt, "the coordinator sent an endless line"};
    std::size_t end;
    while ((end = lines.find('\n')) != std::string::npos) {
      std::string line = lines.substr(0, end);
      lines.erase(0, end + 1);
      if (!line.starts_with("data: ")) continue;
      if (line == "data: [DONE]") return {};
      if (!on_data(line.substr(6))) return {};
    }
  }
}

Status print_answer(const nlohmann::json& answer, bool as_json,
                    const std::function<Status(const nlohmann::json&)>& print) {
  if (as_json) {
    std::printf("%s\n", answer.dump(2).c_str());
    return {};
  }
  try {
    return print(answer);
  } catch (const nlohmann::json::exception& error) {
    return Error{ErrorCode::kVersionMismatch,
                 fmt::format("the coordinator's answer is not understood ({}); use --json", error.what())};
  }
}

}  // namespace shoal::cli
