// For the tests of this folder: the HTTP server in front of a scripted coordinator, and a client that reads and writes
// bytes, so that tests can send what no HTTP library would.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include "api/fake_completion_service.h"
#include "api/server.h"

namespace shoal::api::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using coordinator::FinishReason;
using Json = nlohmann::json;

inline constexpr std::chrono::seconds kPatience(
    10);  // how long a test waits before it fails; never waited for in success

struct Answer {
  unsigned status = 0;
  std::string head;
  std::string body;  // chunks joined
  Json json() const { return Json::parse(body, nullptr, false); }
};

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(io_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
    const timeval wait{kPatience.count(), 0};
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  }

  void send(const std::string& bytes) {
    error_code failure;  // the server may have closed already: what it said is what counts
    asio::write(socket_, asio::buffer(bytes), failure);
  }
  // False: nothing more comes.
  bool read_more() {
    char bytes[4096];
    error_code failure;
    const std::size_t count = socket_.read_some(asio::buffer(bytes), failure);
    EXPECT_NE(failure, asio::error::would_block) << "nothing came in " << kPatience.count() << " s after: " << read_;
    EXPECT_NE(failure, asio::error::try_again);
    read_.append(bytes, count);
    return !failure;
  }
  // Everything up to and including `mark`.
  std::string read_until(const std::string& mark) {
    while (read_.find(mark) == std::string::npos) {
      if (!read_more()) break;
    }
    const std::size_t at = read_.find(mark);
    return take(at == std::string::npos ? read_.size() : at + mark.size());
  }
  std::string read_to_end() {
    while (read_more()) {
    }
    return take(read_.size());
  }
  Answer read_answer() {
    Answer answer;
    answer.head = read_until("\r\n\r\n");
    if (answer.head.size() > 12) answer.status = static_cast<unsigned>(std::stoul(answer.head.substr(9, 3)));
    const std::size_t length = answer.head.find("Content-Length: ");
    if (length != std::string::npos) {
      answer.body = read_bytes(std::stoul(answer.head.substr(length + 16)));
    } else if (answer.head.find("chunked") != std::string::npos) {
      for (std::string part; !(part = read_chunk()).empty();) answer.body += part;
    } else {
      answer.body = read_to_end();
    }
    return answer;
  }
  std::string read_chunk() {
    const std::string size = read_until("\r\n");
    if (size.empty()) return "";
    const std::string part = read_bytes(std::stoul(size, nullptr, 16));
    read_until("\r\n");
    return part;
  }
  Answer ask(const std::string& method, const std::string& target, const std::string& body = "",
             const std::string& headers = "") {
    send(request(method, target, body, headers));
    return read_answer();
  }
  static std::string request(const std::string& method, const std::string& target, const std::string& body = "",
                             const std::string& headers = "") {
    const std::string length = body.empty() ? "" : fmt::format("Content-Length: {}\r\n", body.size());
    return fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{}{}\r\n{}", method,
                       target, headers, length, body);
  }
  void close() { socket_.close(); }
  tcp::socket& socket() { return socket_; }

 private:
  std::string take(std::size_t count) {
    const std::string taken = read_.substr(0, count);
    read_.erase(0, count);
    return taken;
  }
  std::string read_bytes(std::size_t count) {
    while (read_.size() < count) {
      if (!read_more()) break;
    }
    return take(std::min(count, read_.size()));
  }

  asio::io_context io_;
  tcp::socket socket_;
  std::string read_;
};

class HttpServer : public testing::Test {
 protected:
  // Runs on the io thread, and waits until it has.
  template <typename Function>
  auto on_io(Function function) {
    std::packaged_task<decltype(function())()> task(function);
    auto done = task.get_future();
    asio::post(io_, [&task] { task(); });
    return done.get();
  }

  ~HttpServer() override {
    if (thread_.joinable()) {
      on_io([&] { server_.reset(); });
      work_.reset();
      thread_.join();
    }
  }

  void start(const std::function<void(ServerConfig&)>& change = {}) {
    ServerConfig config;
    config.port = 0;
    config.admin_key = "admin";
    config.random = [this] { return ++random_; };
    if (change) change(config);
    service_.cluster.state = coordinator::ClusterState::kServing;
    auto server = Server::start(io_, service_, clock_, config);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = *std::move(server);
    thread_ = std::thread([this] { io_.run(); });
  }

  // Until `condition` holds on the io thread: each look waits for whatever the server does meanwhile.
  template <typename Condition>
  bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (on_io(condition)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  bool submitted(std::size_t count) {
    return eventually([&] { return service_.submitted.size() == count; });
  }
  bool cancelled(std::size_t index) {
    return eventually([&] { return service_.submitted.size() > index && service_.submitted[index].cancelled; });
  }
  void send_text(std::size_t index, const std::string& text, std::vector<coordinator::TokenLogprobs> logprobs = {}) {
    on_io([&] { service_.submitted.at(index).sink->on_tokens({text, 1, logprobs}); });
  }
  void send_end(std::size_t index, FinishReason reason = FinishReason::kStop) {
    on_io([&] {
      service_.submitted.at(index).sink->on_end(reason,
                                                {.prompt_tokens = 3, .completion_tokens = 2, .cached_tokens = 1},
                                                {.queued_ms = 1, .prompt_ms = 2, .answer_ms = 3});
    });
  }
  void send_error(std::size_t index, ErrorCode code) {
    on_io([&] { service_.submitted.at(index).sink->on_error({code, "no plan: 2 GiB of memory missing"}); });
  }
  Client client() { return Client(server_->port()); }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  SystemClock clock_;
  FakeCompletionService service_;
  std::uint64_t random_ = 0;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

inline const std::string kChat = R"({"model":"org/fish-1B","messages":[{"role":"user","content":"Hi"}]})";
inline const std::string kChatStream = R"({"messages":[{"role":"user","content":"Hi"}],"stream":true})";
inline const std::string kText = R"({"prompt":"abc"})";

}  // namespace shoal::api::test
