#include "cli/api_client.h"

#include <cstdio>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/random.h"
#include "cli/verb.h"

namespace shoal::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t kAnswerBytesMax = 16u << 20;
constexpr std::chrono::seconds kSilenceMax(45);  // of a stream, in which the API says something every 15 s
constexpr std::chrono::milliseconds kRetryPause(250);

using Headers = std::vector<std::pair<std::string, std::string>>;

Error unreachable(const net::Endpoint& endpoint, const boost::system::error_code& error) {
  return {ErrorCode::kUnavailable, fmt::format("no coordinator answers at {} ({}); is `shoal serve` running?",
                                               endpoint.text(), error.message())};
}

Error broken(const net::Endpoint& endpoint, const boost::system::error_code& error) {
  return {ErrorCode::kUnavailable,
          fmt::format("the connection to the coordinator at {} broke ({})", endpoint.text(), error.message())};
}

// The server's own words, from an error object of the API.
Error error_of(const nlohmann::json& error, std::string message) {
  const auto text_of = [&](const char* name) {
    return error.is_object() && error.contains(name) && error[name].is_string() ? error[name].get<std::string>()
                                                                                : std::string();
  };
  if (!text_of("message").empty()) message = text_of("message");
  return {text_of("code") == "shutting_down" ? ErrorCode::kCancelled : ErrorCode::kInternal, message};
}

class Exchange {
 public:
  // `silence_max`: how long to wait for the next bytes; nullopt: as long as it takes.
  explicit Exchange(const ApiAddress& address, std::optional<std::chrono::seconds> silence_max = {})
      : address_(address), stream_(io_), silence_max_(silence_max) {}

  Status send(http::verb verb, std::string_view path, std::string body, std::string_view key,
              const Headers& headers = {}) {
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
    for (const auto& [name, value] : headers) request.set(name, value);
    request.body() = std::move(body);
    request.prepare_payload();
    http::write(stream_, request, error);
    if (error) return unreachable(address_.endpoint, error);
    return {};
  }

  // The header, and the whole body unless it is a good stream.
  Status read_header() {
    parser_.body_limit(kAnswerBytesMax);
    const auto error = finish([&](auto done) { http::async_read_header(stream_, buffer_, parser_, done); });
    if (error) return broken(address_.endpoint, error);
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
      auto error = finish([&](auto done) { http::async_read_some(stream_, buffer_, parser_, done); });
      if (error == http::error::need_buffer) error = {};
      if (error) return broken(address_.endpoint, error);
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
    const bool ours = json.is_object() && json.contains("error");
    return error_of(ours ? json["error"] : nlohmann::json(),
                    fmt::format("the coordinator answered {}", parser_.get().result_int()));
  }

 private:
  // Starts something and waits for its end.
  template <typename Start>
  boost::system::error_code finish(Start start) {
    boost::system::error_code result;
    if (silence_max_) stream_.expires_after(*silence_max_);
    start([&](const boost::system::error_code& error, std::size_t) { result = error; });
    io_.restart();
    io_.run();
    return result;
  }

  const ApiAddress& address_;
  asio::io_context io_;
  beast::tcp_stream stream_;
  std::optional<std::chrono::seconds> silence_max_;
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

// What of a stream has come.
struct Position {
  std::string key;            // the request's idempotency key
  std::string last_event_id;  // of the event that was taken last; "": none
  bool asked = false;         // a coordinator was there and has got the request
};

// One attempt at a stream, from where `position` says, which moves on.
Status read_stream(const ApiAddress& address, std::string_view path, const std::string& body, Position& position,
                   const std::function<void(const nlohmann::json&)>& on_data) {
  Exchange exchange(address, kSilenceMax);
  Headers headers = {{"Idempotency-Key", position.key}};
  if (!position.last_event_id.empty()) headers.emplace_back("Last-Event-ID", position.last_event_id);
  SHOAL_RETURN_IF_ERROR(exchange.send(http::verb::post, path, body, address.api_key, headers));
  position.asked = true;
  SHOAL_RETURN_IF_ERROR(exchange.read_header());
  if (!exchange.good()) return exchange.refusal();
  std::string lines;
  std::string id;  // of the event that is being read
  while (true) {
    SHOAL_ASSIGN_OR_RETURN(std::string more, exchange.read_some());
    if (more.empty()) return Error{ErrorCode::kUnavailable, "the coordinator's answer ended before its end"};
    lines += more;
    if (lines.size() > kAnswerBytesMax) return Error{ErrorCode::kCorrupt, "the coordinator sent an endless line"};
    std::size_t end;
    while ((end = lines.find('\n')) != std::string::npos) {
      const std::string line = lines.substr(0, end);
      lines.erase(0, end + 1);
      if (line.starts_with("id: ")) id = line.substr(4);
      if (!line.starts_with("data: ")) continue;
      if (line == "data: [DONE]") return {};
      const auto data = nlohmann::json::parse(line.substr(6), nullptr, false);
      if (!data.is_object()) return Error{ErrorCode::kCorrupt, "the coordinator sent an event that is no JSON object"};
      if (data.contains("error")) return error_of(data["error"], "the answer broke off");
      on_data(data);
      if (!id.empty()) position.last_event_id = std::exchange(id, "");
    }
  }
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
  auto directory = state.empty() ? default_state_directory("coordinator") : std::filesystem::path(state);
  SHOAL_ASSIGN_OR_RETURN(ApiAddress address, ApiAddress::load(directory));
  return ApiClient(std::move(address), std::move(directory));
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
                              const std::function<void(const nlohmann::json&)>& on_data,
                              const std::function<void(const Error&)>& on_break) {
  using Clock = std::chrono::steady_clock;
  const std::string text = body.dump();
  Position position{.key = to_base64url(secure_random(16))};
  std::optional<Clock::time_point> broken_at;
  while (true) {
    auto status = read_stream(address_, path, text, position, [&](const nlohmann::json& data) {
      broken_at.reset();
      on_data(data);
    });
    const bool passes = !status.ok() && (status.error().code == ErrorCode::kCancelled ||
                                         (status.error().code == ErrorCode::kUnavailable && position.asked));
    if (!passes) return status;
    if (!broken_at) {
      broken_at = Clock::now();
      on_break(status.error());
    }
    if (Clock::now() >= *broken_at + kRetryMax) return status;
    std::this_thread::sleep_for(kRetryPause);
    // One that was started again may listen elsewhere.
    if (auto again = state_.empty() ? Result<ApiAddress>(address_) : ApiAddress::load(state_); again.ok())
      address_ = std::move(*again);
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
