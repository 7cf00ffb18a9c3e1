// The HTTP server: HTTP/1.1 with keep-alive on one listening address, OpenAI's endpoints and Shoal's own (docs/api.md).
//
// Lives on the io thread of the io_context it is given; one coroutine a connection. Parsing and tokenising of request
// bodies run on a helper thread, so that a large prompt does not hold up the shoal. Everything is bounded: connections,
// header and body bytes, the time for each, and the bytes that wait for a slow client. A client that goes away cancels
// its completion at once, whether it streams or waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "coordinator/completions.h"

namespace shoal::api {

struct ServerConfig {
  std::string host = "127.0.0.1";  // an IP address, or "localhost"
  std::uint16_t port = 8080;       // 0: a free one
  // Wanted as `Authorization: Bearer` on /v1/*. Empty: nobody is asked, which is allowed on loopback only; then Host
  // must be an IP address or localhost and Origin the server itself, so that web pages cannot reach it.
  std::string api_key;
  std::string admin_key;  // wanted on /shoal/v1/*; empty: these are refused

  std::uint32_t header_bytes_max = 16 << 10;
  std::uint64_t body_bytes_max = 8 << 20;
  std::size_t connections_max = 256;
  std::size_t pending_bytes_max =
      1 << 20;  // of events for a client that reads slowly; beyond: its completion is cancelled
  Duration header_wait_max = std::chrono::seconds(10);
  Duration body_wait_max = std::chrono::seconds(60);
  Duration idle_wait_max = std::chrono::seconds(75);   // between requests of a connection
  Duration write_wait_max = std::chrono::seconds(30);  // without any progress
  Duration heartbeat = std::chrono::seconds(15);       // a comment in a stream that has nothing to say for so long

  std::function<std::uint64_t()> random;  // seeds of requests that name none, and ids of completions
};

class Server {
 public:
  // Listens at once. `service` and `clock` must outlive the server. kInvalidArgument: an address that is none, or one
  // beyond loopback without an API key; kAlreadyExists: the port is in use; kUnavailable: the address is not ours.
  static Result<std::unique_ptr<Server>> start(boost::asio::io_context& io, coordinator::CompletionService& service,
                                               const Clock& clock, ServerConfig config);
  // Cancels the completions that run and closes every connection. On the io thread, or after it has ended.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Takes no more connections and requests, and calls `done` (on the io thread, once) when all that was asked before is
  // answered, or after `wait_max`. Completions must be ended by the service (Coordinator::stop()); traces and requests
  // for events are answered with what there is, a measuring of links with 503.
  void stop(Duration wait_max, std::function<void()> done);

  std::uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8080"

 private:
  struct Listener;
  explicit Server(std::shared_ptr<Listener> listener);
  std::shared_ptr<Listener> listener_;
};

}  // namespace shoal::api
