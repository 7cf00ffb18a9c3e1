// One client's connection: reads requests, answers them in order, streams completions, watches for the client to leave.
// On the io thread; kept alive by its own coroutines.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "api/mailbox.h"
#include "api/repeat.h"
#include "api/routes.h"
#include "api/server.h"

namespace shoal::api {

class CompletionWriter;
class Connection;
struct Preparation;

// What connections share. Outlives them.
struct ConnectionContext {
  ConnectionContext(ServerConfig config_given, coordinator::CompletionService& service_given, const Clock& clock_given)
      : config(std::move(config_given)), service(service_given), clock(clock_given) {}

  ServerConfig config;
  coordinator::CompletionService& service;
  const Clock& clock;
  boost::asio::thread_pool helper{1};                  // parses and tokenises request bodies
  std::unordered_set<Connection*> connections;         // those that are open
  std::unordered_map<std::string, Connection*> keyed;  // by idempotency key: who makes an answer for it
  bool closing = false;                                // no further request is taken
  std::function<void()> on_last_gone;                  // posted when no connection is left
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<ConnectionContext> context);
  ~Connection();

  void start();
  // Stops at once if there is nothing to answer, else when it is answered. To be called when `closing` is set.
  void finish();
  // Cancels the completion, trace or measuring that runs and closes the socket; the coroutines end soon after. Must not
  // be called from inside a call of the coordinator's.
  void stop();

 private:
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;

  awaitable<void> run();
  awaitable<std::optional<HttpRequest>> read_request();  // nullopt: the connection is over
  awaitable<bool> write(std::string bytes);              // false: it did not arrive
  awaitable<bool> respond(HttpResponse response, bool keep_alive);
  awaitable<void> refuse_and_close(ApiError error);  // an answer to what was not even a request
  awaitable<void> linger();
  awaitable<bool> complete(HttpRequest request, RequestKind kind);
  awaitable<bool> trace(HttpRequest request, TraceWindow window);
  awaitable<bool> net_bench(HttpRequest request);
  awaitable<bool> events(HttpRequest request, EventsRequest wanted);
  std::optional<ApiError> keep(const Repeat& repeat, Preparation& preparation, coordinator::KeyedRequest& request);
  std::optional<ApiError> submit(const HttpRequest& http, Preparation& preparation, Repeat& repeat,
                                 coordinator::KeyedRequest& request, std::shared_ptr<Mailbox>& mailbox);
  void give_way();  // to another connection that has asked the same again
  void forget_key();
  awaitable<bool> stream(HttpRequest request, std::unique_ptr<CompletionWriter> writer,
                         std::shared_ptr<Mailbox> mailbox, EventNumbers numbers);
  awaitable<bool> gather(HttpRequest request, std::unique_ptr<CompletionWriter> writer,
                         std::shared_ptr<Mailbox> mailbox);
  void start_watching();  // until stop_watching() a client that leaves stops this connection
  awaitable<void> watch_client();
  awaitable<void> stop_watching();
  awaitable<void> wait_for_wake(Duration wait_max);

  void arm(Duration wait_max);  // closes the connection when that time is over, unless armed or disarmed again
  void disarm();
  void wake();
  void cancel_work();

  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<ConnectionContext> context_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer wake_timer_;
  std::uint64_t deadline_generation_ = 0;
  std::optional<coordinator::CompletionHandle> running_;
  bool tracing_ = false;    // the trace that is being recorded is ours
  bool measuring_ = false;  // so are the links that are being measured
  std::string key_;         // under which we stand in ConnectionContext::keyed
  bool gave_way_ = false;
  bool idle_ = false;  // waits for the first byte of a request
  bool woken_ = false;
  bool stopped_ = false;  // nothing more is to be written or asked
  bool watching_ = false;
  bool watcher_alive_ = false;
};

// The status line.
std::string head_of(unsigned status);

}  // namespace shoal::api
