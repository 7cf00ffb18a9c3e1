#include "api/server.h"

#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <fmt/format.h>

#include "api/connection.h"
#include "base/log.h"

namespace shoal::api {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);  // after a failure, such as too few descriptors
constexpr int kBacklog = 64;

Result<tcp::endpoint> endpoint_of(const ServerConfig& config) {
  error_code failure;
  const asio::ip::address address =
      asio::ip::make_address(config.host == "localhost" ? "127.0.0.1" : config.host, failure);
  if (failure) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("cannot listen on \"{}\": give an IP address, such as 127.0.0.1:8080", config.host)};
  }
  if (!address.is_loopback() && config.api_key.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("listening on {} lets others in: give an API key, or listen on 127.0.0.1", config.host)};
  }
  return tcp::endpoint(address, config.port);
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address, endpoint.port());
}

Error listen_error(const tcp::endpoint& endpoint, const error_code& failure) {
  if (failure == asio::error::address_in_use) {
    return {ErrorCode::kAlreadyExists,
            fmt::format("{} is in use by another program: stop it, or listen on another port", text_of(endpoint))};
  }
  return {ErrorCode::kUnavailable, fmt::format("cannot listen on {}: {}", text_of(endpoint), failure.message())};
}

Status open(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  error_code failure;
  acceptor.open(endpoint.protocol(), failure);
  if (!failure) acceptor.set_option(tcp::acceptor::reuse_address(true), failure);
  if (!failure) acceptor.bind(endpoint, failure);
  if (!failure) acceptor.listen(kBacklog, failure);
  if (failure) return listen_error(endpoint, failure);
  return {};
}

}  // namespace

struct Server::Listener : std::enable_shared_from_this<Listener> {
  Listener(asio::io_context& io, coordinator::CompletionService& service, const Clock& clock, ServerConfig config)
      : acceptor(io), pause(io), context(std::make_shared<ConnectionContext>(std::move(config), service, clock)) {}

  asio::awaitable<void> accept_loop() {
    const auto self = shared_from_this();
    while (acceptor.is_open()) {
      auto [failure, socket] = co_await acceptor.async_accept(kToken);
      if (!acceptor.is_open()) break;
      if (failure) {
        log_warning("http: cannot take a connection: {}", failure.message());
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kToken);
        continue;
      }
      take(std::move(socket));
    }
  }

  void take(tcp::socket socket) {
    if (context->connections.size() >= context->config.connections_max) {
      turn_away(std::move(socket));
      return;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    std::make_shared<Connection>(std::move(socket), context)->start();
  }

  static void turn_away(tcp::socket socket) {
    const auto kept = std::make_shared<tcp::socket>(std::move(socket));
    static constexpr std::string_view kAnswer =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Fits any socket's buffer: it does not wait for the client.
    asio::async_write(*kept, asio::buffer(kAnswer), [kept](const error_code&, std::size_t) {});
  }

  tcp::acceptor acceptor;
  asio::steady_timer pause;  // before the next connection is taken; once stopping, until nobody is waited for
  std::shared_ptr<ConnectionContext> context;
  tcp::endpoint endpoint;
};

Server::Server(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}

Result<std::unique_ptr<Server>> Server::start(asio::io_context& io, coordinator::CompletionService& service,
                                              const Clock& clock, ServerConfig config) {
  SHOAL_ASSERT(config.random != nullptr);
  SHOAL_ASSIGN_OR_RETURN(const tcp::endpoint wanted, endpoint_of(config));
  auto listener = std::make_shared<Listener>(io, service, clock, std::move(config));
  SHOAL_RETURN_IF_ERROR(open(listener->acceptor, wanted));
  error_code failure;
  listener->endpoint = listener->acceptor.local_endpoint(failure);
  if (failure) return listen_error(wanted, failure);
  asio::co_spawn(
      io, [listener] { return listener->accept_loop(); }, asio::detached);
  return std::unique_ptr<Server>(new Server(std::move(listener)));
}

void Server::stop(Duration wait_max, std::function<void()> done) {
  ConnectionContext& context = *listener_->context;
  SHOAL_ASSERT(!context.closing);
  context.closing = true;
  error_code ignored;
  listener_->acceptor.close(ignored);
  const auto once = [done = std::make_shared<std::function<void()>>(std::move(done))] {
    if (const auto call = std::exchange(*done, nullptr)) call();
  };
  context.on_last_gone = once;
  listener_->pause.expires_after(wait_max);
  listener_->pause.async_wait([once](const error_code& failure) {
    if (!failure) once();
  });
  std::vector<std::shared_ptr<Connection>> open;
  for (Connection* connection : context.connections) open.push_back(connection->shared_from_this());
  for (const auto& connection : open) connection->finish();
  if (open.empty()) asio::post(listener_->acceptor.get_executor(), once);
}

Server::~Server() {
  error_code ignored;
  listener_->context->on_last_gone = nullptr;
  listener_->acceptor.close(ignored);
  listener_->pause.cancel();
  ConnectionContext& context = *listener_->context;
  std::vector<std::shared_ptr<Connection>> open;
  for (Connection* connection : context.connections) open.push_back(connection->shared_from_this());
  for (const auto& connection : open) connection->stop();
  // Afterwards nothing of ours posts to the io_context any more.
  context.helper.stop();
  context.helper.join();
}

std::uint16_t Server::port() const {
  return listener_->endpoint.port();
}
std::string Server::url() const {
  return "http://" + text_of(listener_->endpoint);
}

}  // namespace shoal::api
