#include "api/connection.h"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <fmt/format.h>

#include "api/events_json.h"
#include "api/response.h"
#include "api/trace_json.h"
#include "base/log.h"

namespace shoal::api {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);  // errors come as values, never as exceptions
constexpr Duration kForGood = std::chrono::hours(1);          // somebody will wake us
constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kPipelinedBytesMax = 64 << 10;  // of requests that came while an answer is being made
constexpr std::size_t kWriteBytes = 64 << 10;         // each such part of an answer has write_wait_max to leave
constexpr Duration kLingerMax = std::chrono::seconds(1);

// nullopt: the client left or broke off, and there is nobody to answer.
std::optional<ApiError> answer_to(const error_code& failure) {
  if (failure == http::error::header_limit || failure == http::error::buffer_overflow) {
    return ApiError{431, "the request's header is too large", "invalid_request_error", "", "header_too_large", 0};
  }
  if (failure == http::error::body_limit) {
    return ApiError{413, "the request's body is too large", "invalid_request_error", "", "body_too_large", 0};
  }
  const bool broken_off = failure == http::error::end_of_stream || failure == http::error::partial_message ||
                          failure.category() != make_error_code(http::error::end_of_stream).category();
  if (broken_off) return std::nullopt;
  return ApiError{400, "this is not HTTP: " + failure.message(), "invalid_request_error", "", "bad_http", 0};
}

// nullopt: not sent. One that was sent more than once is a list (RFC 9110 §5.3).
std::optional<std::string> only_value(const http::request_header<>& header, std::string_view name) {
  std::optional<std::string> value;
  const auto [first, last] = header.equal_range(boost::beast::string_view(name.data(), name.size()));
  for (auto field = first; field != last; ++field) {
    const auto text = field->value();
    value = (value ? *value + ", " : std::string()) + std::string(text.data(), text.size());
  }
  return value;
}

}  // namespace

std::string head_of(unsigned status) {
  const auto reason = http::obsolete_reason(http::int_to_status(status));
  return fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
}

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<ConnectionContext> context)
    : socket_(std::move(socket)),
      context_(std::move(context)),
      buffer_(context_->config.header_bytes_max + kPipelinedBytesMax + kReadBytes),
      deadline_(socket_.get_executor()),
      wake_timer_(socket_.get_executor()) {}

Connection::~Connection() {
  forget_key();
  context_->connections.erase(this);
  if (context_->connections.empty() && context_->on_last_gone)
    asio::post(socket_.get_executor(), context_->on_last_gone);
}

void Connection::start() {
  context_->connections.insert(this);
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->run(); }, asio::detached);
}

void Connection::finish() {
  if (idle_) return stop();
  wake();
}

void Connection::stop() {
  if (stopped_) return;
  stopped_ = true;
  cancel_work();
  disarm();
  error_code ignored;
  socket_.close(ignored);
  wake();
}

void Connection::cancel_work() {
  if (const auto handle = std::exchange(running_, std::nullopt)) context_->service.cancel(*handle);
  if (std::exchange(tracing_, false)) context_->service.stop_trace();
  if (std::exchange(measuring_, false)) context_->service.cancel_net_bench();
}

void Connection::arm(Duration wait_max) {
  if (stopped_) return;
  const std::uint64_t generation = ++deadline_generation_;
  deadline_.expires_after(wait_max);
  deadline_.async_wait([weak = weak_from_this(), generation](const error_code& failure) {
    const auto self = weak.lock();
    if (self && !failure && self->deadline_generation_ == generation) self->stop();
  });
}

void Connection::disarm() {
  ++deadline_generation_;
  deadline_.cancel();
}

void Connection::wake() {
  woken_ = true;
  wake_timer_.cancel();
}

asio::awaitable<void> Connection::wait_for_wake(Duration wait_max) {
  if (!woken_) {
    wake_timer_.expires_after(wait_max);
    co_await wake_timer_.async_wait(kToken);
  }
  woken_ = false;
}

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  bool alive = true;
  while (alive && !stopped_) {
    std::optional<HttpRequest> request = co_await read_request();
    if (!request || stopped_) break;
    const bool keep_alive = request->keep_alive;
    if (context_->closing) {
      co_await respond(to_response(shutting_down()), false);
      break;
    }
    Routed answer = route(*request, context_->config, context_->service);
    if (HttpResponse* response = std::get_if<HttpResponse>(&answer)) {
      alive = co_await respond(std::move(*response), keep_alive);
    } else if (const TraceWindow* window = std::get_if<TraceWindow>(&answer)) {
      alive = co_await trace(*std::move(request), *window);
    } else if (std::holds_alternative<NetBenchRequest>(answer)) {
      alive = co_await net_bench(*std::move(request));
    } else if (const EventsRequest* wanted = std::get_if<EventsRequest>(&answer)) {
      alive = co_await events(*std::move(request), *wanted);
    } else {
      alive = co_await complete(*std::move(request), std::get<RequestKind>(answer));
    }
    alive = alive && keep_alive && !context_->closing;
  }
  stop();
}

asio::awaitable<std::optional<HttpRequest>> Connection::read_request() {
  const ServerConfig& config = context_->config;
  if (buffer_.size() == 0) {
    arm(config.idle_wait_max);
    idle_ = true;
    const auto [failure, count] = co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kToken);
    idle_ = false;
    if (failure) co_return std::nullopt;
    buffer_.commit(count);
  }

  http::request_parser<http::string_body> parser;
  parser.header_limit(config.header_bytes_max);
  parser.body_limit(config.body_bytes_max);
  arm(config.header_wait_max);
  const auto [header_failure, header_count] = co_await http::async_read_header(socket_, buffer_, parser, kToken);
  if (header_failure) {
    if (auto error = answer_to(header_failure)) co_await refuse_and_close(*std::move(error));
    co_return std::nullopt;
  }

  const auto& header = parser.get();
  const auto text = [](auto view) { return std::string(view.data(), view.size()); };
  HttpRequest request;
  request.method = text(header.method_string());
  request.target = text(header.target());
  request.host = text(header[http::field::host]);
  request.origin = text(header[http::field::origin]);
  request.authorization = text(header[http::field::authorization]);
  request.idempotency_key = only_value(header, "Idempotency-Key");
  request.last_event_id = only_value(header, "Last-Event-ID");
  request.http_1_0 = header.version() < 11;
  request.keep_alive = header.keep_alive();
  if (!parser.is_done()) {
    // Nobody without a key can make the server take a large body.
    if (std::optional<HttpResponse> refusal = refuse_early(request, config)) {
      if (co_await respond(*std::move(refusal), false)) co_await linger();
      co_return std::nullopt;
    }
    if (boost::beast::iequals(header[http::field::expect], "100-continue")) {
      const bool arrived = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!arrived) co_return std::nullopt;
    }
    arm(config.body_wait_max);
    const auto [body_failure, body_count] = co_await http::async_read(socket_, buffer_, parser, kToken);
    if (body_failure) {
      if (auto error = answer_to(body_failure)) co_await refuse_and_close(*std::move(error));
      co_return std::nullopt;
    }
  }
  disarm();
  request.body = std::move(parser.get().body());
  co_return request;
}

asio::awaitable<bool> Connection::write(std::string bytes) {
  for (std::size_t at = 0; at < bytes.size() && !stopped_; at += kWriteBytes) {
    arm(context_->config.write_wait_max);
    const auto part = asio::buffer(bytes.data() + at, std::min(kWriteBytes, bytes.size() - at));
    const auto [failure, count] = co_await asio::async_write(socket_, part, kToken);
    if (failure) co_return false;
  }
  if (!stopped_) disarm();
  co_return !stopped_;
}

asio::awaitable<bool> Connection::respond(HttpResponse response, bool keep_alive) {
  std::string bytes = head_of(response.status);
  bytes += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\nConnection: {}\r\n",
                       response.body.size(), keep_alive ? "keep-alive" : "close");
  for (const auto& [name, value] : response.headers) bytes += fmt::format("{}: {}\r\n", name, value);
  bytes += "\r\n";
  bytes += response.body;
  co_return co_await write(std::move(bytes));
}

asio::awaitable<void> Connection::refuse_and_close(ApiError error) {
  const bool arrived = co_await respond(to_response(error), false);
  if (arrived) co_await linger();
}

// Bytes that nobody read would make the kernel answer with a reset, and that can overtake the answer: so what still
// comes is read and dropped for a moment.
asio::awaitable<void> Connection::linger() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  arm(kLingerMax);
  buffer_.clear();
  for (;;) {
    const auto [failure, count] = co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kToken);
    if (failure || stopped_) co_return;
  }
}

// --- traces ---

asio::awaitable<bool> Connection::trace(HttpRequest request, TraceWindow window) {
  coordinator::CompletionService& service = context_->service;
  if (const Status begun = service.start_trace(); !begun.ok()) {
    const ApiError refused{409, begun.error().message, "invalid_request_error", "", "trace_running", 1};
    const bool told = co_await respond(to_response(refused), request.keep_alive);
    co_return told;
  }
  tracing_ = true;
  start_watching();
  const Time end = context_->clock.now() + window.length;
  for (Time now = context_->clock.now(); now < end && !stopped_ && !context_->closing; now = context_->clock.now()) {
    co_await wait_for_wake(end - now);
  }
  if (stopped_) co_return false;

  struct Writing {
    coordinator::Trace trace;
    std::string json;
    bool done = false;
  };
  const auto writing = std::make_shared<Writing>();
  tracing_ = false;
  writing->trace = service.stop_trace();
  // A full trace is some MiB of text.
  asio::post(context_->helper, [weak = weak_from_this(), executor = socket_.get_executor(), writing] {
    writing->json = trace_json(writing->trace);
    asio::post(executor, [weak, writing] {
      writing->done = true;
      if (const auto self = weak.lock()) self->wake();
    });
  });
  while (!writing->done && !stopped_) co_await wait_for_wake(kForGood);
  if (stopped_) co_return false;
  HttpResponse response;
  response.body = std::move(writing->json);
  const bool told = co_await respond(std::move(response), request.keep_alive);
  co_await stop_watching();
  co_return told && !stopped_;
}

// --- links ---

asio::awaitable<bool> Connection::net_bench(HttpRequest request) {
  struct Measuring {
    std::optional<coordinator::NetBench> bench;
  };
  const auto measuring = std::make_shared<Measuring>();
  const auto done = [weak = weak_from_this(), measuring](coordinator::NetBench bench) {
    measuring->bench = std::move(bench);
    if (const auto self = weak.lock()) self->wake();
  };
  if (const Status begun = context_->service.start_net_bench(done); !begun.ok()) {
    const ApiError refused{409, begun.error().message, "invalid_request_error", "", "bench_running", 1};
    const bool told = co_await respond(to_response(refused), request.keep_alive);
    co_return told;
  }
  measuring_ = true;
  start_watching();
  while (!measuring->bench && !stopped_ && !context_->closing) co_await wait_for_wake(kForGood);
  if (stopped_) co_return false;
  HttpResponse response = to_response(shutting_down());
  if (measuring->bench) {
    measuring_ = false;
    response = {200, net_bench_json(*measuring->bench), {}};
  }
  const bool told = co_await respond(std::move(response), request.keep_alive);
  co_await stop_watching();
  co_return told && !stopped_;
}

// --- events ---

// Answers at once where there is something to tell, or where the client knows a later event than there is (the store
// was moved away): it is told so, and does not wait for what may never come.
asio::awaitable<bool> Connection::events(HttpRequest request, EventsRequest wanted) {
  coordinator::CompletionService& service = context_->service;
  const coordinator::EventWatch watch = service.watch_events([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->wake();
  });
  start_watching();
  const Time end = context_->clock.now() + wanted.wait;
  Result<coordinator::EventPage> page = service.events(wanted.query);
  for (Time now = context_->clock.now(); now < end && !stopped_; now = context_->clock.now()) {
    if (!page.ok() || !page->events.empty() || page->newest < wanted.query.after.value_or(0)) break;
    if (context_->closing) break;
    co_await wait_for_wake(end - now);
    if (!stopped_) page = service.events(wanted.query);
  }
  if (stopped_) co_return false;
  HttpResponse response;
  if (page.ok()) {
    response.body = events_json(*page);
  } else {
    response = to_response(to_api_error(page.error()));
  }
  const bool told = co_await respond(std::move(response), request.keep_alive);
  co_await stop_watching();
  co_return told && !stopped_;
}

// --- clients that leave ---

void Connection::start_watching() {
  watching_ = watcher_alive_ = true;
  woken_ = false;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->watch_client(); }, asio::detached);
}

// The end of the client's bytes is the end of its interest. Whatever else it sends meanwhile is its next request.
asio::awaitable<void> Connection::watch_client() {
  const auto self = shared_from_this();
  while (watching_ && !stopped_) {
    if (buffer_.size() >= kPipelinedBytesMax) {
      stop();
      break;
    }
    const auto [failure, count] = co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kToken);
    if (failure && !watching_) break;
    if (failure) {
      stop();
    } else {
      buffer_.commit(count);
    }
  }
  watcher_alive_ = false;
  wake();
}

asio::awaitable<void> Connection::stop_watching() {
  watching_ = false;
  error_code ignored;
  socket_.cancel(ignored);
  while (watcher_alive_) co_await wait_for_wake(kForGood);
}

}  // namespace shoal::api
