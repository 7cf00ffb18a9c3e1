#include "api/server.h"

#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include "api/fake_completion_service.h"

namespace shoal::api {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using coordinator::FinishReason;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::chrono::seconds kPatience(10);  // how long a test waits before it fails; never waited for in success

struct Answer {
  unsigned status = 0;
  std::string head;
  std::string body;  // chunks joined
  Json json() const { return Json::parse(body, nullptr, false); }
};

// A client that reads and writes bytes, so that tests can send what no HTTP library would.
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

const std::string kChat = R"({"model":"org/fish-1B","messages":[{"role":"user","content":"Hi"}]})";
const std::string kChatStream = R"({"messages":[{"role":"user","content":"Hi"}],"stream":true})";
const std::string kText = R"({"prompt":"abc"})";

coordinator::TokenLogprobs logprobs_of(const coordinator::TokenLogprob& chosen, const coordinator::TokenLogprob& best) {
  coordinator::TokenLogprobs logprobs;
  logprobs.chosen = chosen;
  logprobs.best.push_back(best);
  return logprobs;
}

// The data of each server-sent event.
std::vector<std::string> events_of(const std::string& body) {
  std::vector<std::string> events;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = body.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << body;
    if (end == std::string::npos) break;
    const std::string event = body.substr(at, end - at);
    if (event[0] != ':') {
      EXPECT_THAT(event, StartsWith("data: "));
      events.push_back(event.substr(6));
    }
    at = end + 2;
  }
  return events;
}

TEST_F(HttpServer, ListsTheModel) {
  start();
  Client c = client();
  const Answer list = c.ask("GET", "/v1/models");
  EXPECT_EQ(list.status, 200u);
  EXPECT_EQ(list.json()["object"], "list");
  EXPECT_EQ(list.json()["data"][0]["id"], "org/fish-1B");
  for (const std::string path : {"/v1/models/org/fish-1B", "/v1/models/org%2Ffish-1B?x=1"}) {
    const Answer one = c.ask("GET", path);
    EXPECT_EQ(one.status, 200u) << path;
    EXPECT_EQ(one.json()["object"], "model");
    EXPECT_EQ(one.json()["created"], 1'700'000'000);
  }
  const Answer missing = c.ask("GET", "/v1/models/cat");
  EXPECT_EQ(missing.status, 404u);
  EXPECT_EQ(missing.json()["error"]["code"], "model_not_found");
}

TEST_F(HttpServer, TellsItsHealth) {
  start();
  Client c = client();
  EXPECT_EQ(c.ask("GET", "/health").status, 200u);
  on_io([&] { service_.cluster.state = coordinator::ClusterState::kLoading; });
  const Answer loading = c.ask("GET", "/health");
  EXPECT_EQ(loading.status, 503u);
  EXPECT_EQ(loading.json()["status"], "loading");
}

TEST_F(HttpServer, AnswersAChatAtOnce) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChat));
  ASSERT_TRUE(submitted(1));
  send_text(0, "Hello");
  send_text(0, " fish");
  send_end(0, FinishReason::kLength);
  const Answer answer = c.read_answer();
  EXPECT_EQ(answer.status, 200u);
  const Json json = answer.json();
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_THAT(json["id"].get<std::string>(), StartsWith("chatcmpl-"));
  EXPECT_EQ(json["model"], "org/fish-1B");
  EXPECT_EQ(json["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(json["choices"][0]["message"]["content"], "Hello fish");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(json["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(json["usage"]["total_tokens"], 5);
  EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
  EXPECT_EQ(json["timings"]["prompt_ms"], 2);
  EXPECT_EQ(on_io([&] { return service_.cancel_calls; }), 0);
}

TEST_F(HttpServer, AnswersAPlainCompletion) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/completions", R"({"prompt":"abc","logprobs":1,"max_tokens":2})"));
  ASSERT_TRUE(submitted(1));
  const coordinator::TokenLogprob first{1, "ü", -0.5}, second{2, "x", -1.5}, better{3, "y", -1.0};
  send_text(0, "üx", {logprobs_of(first, first), logprobs_of(second, better)});
  send_end(0);
  const Json json = c.read_answer().json();
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_EQ(json["choices"][0]["text"], "üx");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  const Json logprobs = json["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], (Json{"ü", "x"}));
  EXPECT_EQ(logprobs["token_logprobs"], (Json{-0.5, -1.5}));
  EXPECT_EQ(logprobs["text_offset"], (Json{0, 1}));
  EXPECT_EQ(logprobs["top_logprobs"][1]["y"], -1.0);
}

TEST_F(HttpServer, StreamsAChat) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions",
                         R"({"messages":[{"role":"user","content":"Hi"}],"stream":true,
                             "stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":1})"));
  ASSERT_TRUE(submitted(1));
  send_text(0, "Hel", {logprobs_of({1, "\xc3", -0.25}, {2, "z", -2.0})});
  const std::string head = c.read_until("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"));
  EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked"));
  std::string body = c.read_chunk();
  while (body.find("Hel") == std::string::npos) body += c.read_chunk();  // it comes before the end is known
  send_text(0, "");                                                      // held back: nothing to say
  send_text(0, "lo");
  send_end(0);
  for (std::string part; !(part = c.read_chunk()).empty();) body += part;

  const std::vector<std::string> events = events_of(body);
  ASSERT_EQ(events.size(), 6u) << body;
  const Json role = Json::parse(events[0]);
  EXPECT_EQ(role["object"], "chat.completion.chunk");
  EXPECT_EQ(role["choices"][0]["delta"]["role"], "assistant");
  const Json first = Json::parse(events[1]);
  EXPECT_EQ(first["choices"][0]["delta"]["content"], "Hel");
  EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
  const Json logprob = first["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(logprob["token"], "\xef\xbf\xbd");
  EXPECT_EQ(logprob["bytes"], Json::array({0xc3}));
  EXPECT_EQ(logprob["top_logprobs"][0]["token"], "z");
  EXPECT_EQ(Json::parse(events[2])["choices"][0]["delta"]["content"], "lo");
  const Json last = Json::parse(events[3]);
  EXPECT_EQ(last["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(last["choices"][0]["delta"].is_object() && last["choices"][0]["delta"].empty());
  const Json usage = Json::parse(events[4]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["completion_tokens"], 2);
  EXPECT_EQ(events[5], "[DONE]");
  // The connection goes on.
  EXPECT_EQ(c.ask("GET", "/v1/models").status, 200u);
}

TEST_F(HttpServer, StreamsToHttp10UntilTheEndOfTheConnection) {
  start();
  Client c = client();
  c.send(
      "POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 30\r\n\r\n"
      R"({"prompt":"abc","stream":true})");
  ASSERT_TRUE(submitted(1));
  send_text(0, "x");
  send_end(0);
  const Answer answer = c.read_answer();
  EXPECT_THAT(answer.head, Not(HasSubstr("chunked")));
  const std::vector<std::string> events = events_of(answer.body);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(Json::parse(events[0])["choices"][0]["text"], "x");
  EXPECT_EQ(events[2], "[DONE]");
}

TEST_F(HttpServer, KeepsAQuietStreamAlive) {
  start([](ServerConfig& config) { config.heartbeat = std::chrono::milliseconds(5); });
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  c.read_until(": waiting\n\n");
  c.read_until(": waiting\n\n");
  send_end(0);
  EXPECT_THAT(c.read_until("0\r\n\r\n"), HasSubstr("data: [DONE]"));
}

// Goal: an error before the first token is a status; one after it is an event that ends the stream without [DONE].
TEST_F(HttpServer, ReportsAnErrorOfTheCoordinator) {
  start();
  for (const std::string& body : {kChat, kChatStream}) {
    Client c = client();
    const std::size_t index = on_io([&] { return service_.submitted.size(); });
    c.send(Client::request("POST", "/v1/chat/completions", body));
    ASSERT_TRUE(submitted(index + 1));
    send_error(index, ErrorCode::kUnavailable);
    const Answer answer = c.read_answer();
    EXPECT_EQ(answer.status, 503u);
    EXPECT_EQ(answer.json()["error"]["code"], "no_feasible_plan");
    EXPECT_EQ(answer.json()["error"]["message"], "no plan: 2 GiB of memory missing");
    EXPECT_THAT(answer.head, HasSubstr("Retry-After: 5\r\n"));
  }
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(3));
  send_text(2, "Hel");
  c.read_until("Hel");
  send_error(2, ErrorCode::kUnavailable);
  const std::string rest = c.read_until("0\r\n\r\n");
  EXPECT_THAT(rest, HasSubstr(R"(data: {"error":{"message":"no plan)"));
  EXPECT_THAT(rest, Not(HasSubstr("[DONE]")));
  EXPECT_EQ(on_io([&] { return service_.cancel_calls; }), 0);
}

TEST_F(HttpServer, ReportsARefusalOfTheCoordinator) {
  start();
  Client c = client();
  on_io([&] { service_.refuse_with = Error{ErrorCode::kResourceExhausted, "256 completions wait already"}; });
  const Answer full = c.ask("POST", "/v1/chat/completions", kChatStream);
  EXPECT_EQ(full.status, 429u);
  EXPECT_THAT(full.head, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(full.json()["error"]["code"], "queue_full");
  on_io([&] { service_.refuse_with = Error{ErrorCode::kUnavailable, "no plan"}; });
  EXPECT_EQ(c.ask("POST", "/v1/completions", kText).status, 503u);
}

TEST_F(HttpServer, AnswersWrongRequestsInOpenAisShape) {
  start();
  Client c = client();
  struct Row {
    std::string method, target, body;
    unsigned status;
    std::string param, code;
  };
  const std::vector<Row> table = {
      {"POST", "/v1/chat/completions", R"({"messages":1})", 400, "messages", ""},
      {"POST", "/v1/chat/completions", "{", 400, "", ""},
      {"POST", "/v1/chat/completions", "", 400, "", ""},
      {"POST", "/v1/completions", R"({"prompt":"p","model":"cat"})", 404, "model", "model_not_found"},
      {"POST", "/v1/completions", R"({"prompt":")" + std::string(1000, 'x') + "\"}", 400, "prompt",
       "context_length_exceeded"},
      {"GET", "/v1/chat/completions", "", 405, "", "method_not_allowed"},
      {"OPTIONS", "/v1/models", "", 405, "", "method_not_allowed"},
      {"GET", "/v2", "", 404, "", "unknown_url"},
      {"GET", "/v1/models/", "", 404, "", "unknown_url"},
  };
  for (const Row& row : table) {
    const Answer answer = c.ask(row.method, row.target, row.body);
    EXPECT_EQ(answer.status, row.status) << row.target;
    const Json error = answer.json()["error"];
    EXPECT_FALSE(error["message"].get<std::string>().empty());
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_EQ(error["param"], row.param.empty() ? Json() : Json(row.param)) << row.target;
    EXPECT_EQ(error["code"], row.code.empty() ? Json() : Json(row.code)) << row.target;
    EXPECT_THAT(answer.head, Not(HasSubstr("Access-Control")));
  }
}

TEST_F(HttpServer, WantsTheKeys) {
  start([](ServerConfig& config) { config.api_key = "secret"; });
  Client c = client();
  const auto status = [&](const std::string& target, const std::string& key) {
    return c.ask("GET", target, "", key.empty() ? "" : "Authorization: " + key + "\r\n").status;
  };
  EXPECT_EQ(status("/v1/models", ""), 401u);
  EXPECT_EQ(status("/v1/models", "Bearer wrong"), 401u);
  EXPECT_EQ(status("/v1/models", "Bearer secret1"), 401u);
  EXPECT_EQ(status("/v1/models", "Basic secret"), 401u);
  EXPECT_EQ(status("/v1/models", "Bearer secret"), 200u);
  EXPECT_EQ(status("/shoal/v1/status", "Bearer secret"), 401u);
  EXPECT_EQ(status("/shoal/v1/status", ""), 401u);
  EXPECT_EQ(status("/shoal/v1/status", "Bearer admin"), 200u);
  EXPECT_EQ(status("/health", ""), 200u);
  // Who has no key is told so before a body is taken.
  c.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n");
  EXPECT_EQ(c.read_answer().status, 401u);
  EXPECT_EQ(c.read_to_end(), "");
}

TEST_F(HttpServer, HasNoAdminWithoutAnAdminKey) {
  start([](ServerConfig& config) { config.admin_key = ""; });
  EXPECT_EQ(client().ask("GET", "/shoal/v1/status").status, 403u);
}

// Goal: without a key, no web page that the user happens to visit can reach the server.
TEST_F(HttpServer, RefusesOtherSitesWithoutAKey) {
  start();
  const auto status = [&](const std::string& headers) {
    Client c = client();
    c.send("GET /v1/models HTTP/1.1\r\n" + headers + "\r\n");
    return c.read_answer().status;
  };
  EXPECT_EQ(status("Host: localhost:8080\r\n"), 200u);
  EXPECT_EQ(status("Host: [::1]:8080\r\n"), 200u);
  EXPECT_EQ(status("Host: evil.example:8080\r\n"), 403u);
  EXPECT_EQ(status("Host: 127.0.0.1:1\r\nOrigin: http://evil.example\r\n"), 403u);
  EXPECT_EQ(status("Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:1\r\n"), 200u);
}

TEST_F(HttpServer, TellsTheStateOfTheShoal) {
  start();
  on_io([&] {
    coordinator::ClusterStatus& status = service_.cluster;
    status.exactness = "exact: every stage proved it";
    status.exact = true;
    status.nodes = {{.name = "p\xff",
                     .state = coordinator::NodeState::kConnected,
                     .addresses = {"10.0.0.2:7421"},
                     .range = LayerRange{0, 11},
                     .rtt_ms = 2.5}};
    status.plan = coordinator::PlanStatus{.epoch = {3},
                                          .stages = {{.node_name = "phone",
                                                      .range = {0, 11},
                                                      .state = coordinator::StageState::kReady,
                                                      .memory = {.weights_bytes = 7},
                                                      .to_next = coordinator::LinkPath::kRelay}},
                                          .explanation = "why"};
  });
  const Answer answer = client().ask("GET", "/shoal/v1/status", "", "Authorization: Bearer admin\r\n");
  ASSERT_EQ(answer.status, 200u);
  const Json json = answer.json();
  EXPECT_EQ(json["state"], "serving");
  EXPECT_EQ(json["exactness"], "exact: every stage proved it");
  EXPECT_EQ(json["nodes"][0]["name"], "p\xef\xbf\xbd");
  EXPECT_EQ(json["nodes"][0]["layers"]["last"], 11);
  EXPECT_EQ(json["nodes"][0]["addresses"][0], "10.0.0.2:7421");
  EXPECT_EQ(json["plan"]["epoch"], 3);
  EXPECT_EQ(json["plan"]["stages"][0]["link_to_next"], "relay");
  EXPECT_EQ(json["plan"]["stages"][0]["memory"]["total_bytes"], 7);
}

TEST_F(HttpServer, MakesJoinTokens) {
  start();
  Client c = client();
  const std::string key = "Authorization: Bearer admin\r\n";
  EXPECT_EQ(c.ask("POST", "/shoal/v1/tokens", "", key).json()["expires_unix_seconds"], 600);
  const Answer answer = c.ask("POST", "/shoal/v1/tokens", R"({"ttl_seconds":9})", key);
  EXPECT_EQ(answer.json()["expires_unix_seconds"], 9);
  EXPECT_THAT(answer.json()["link"].get<std::string>(), StartsWith("shoal://"));
  EXPECT_EQ(c.ask("POST", "/shoal/v1/tokens", R"({"ttl_seconds":0})", key).json()["error"]["param"], "ttl_seconds");
}

// --- the connection ---

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChat) + Client::request("GET", "/v2") +
         Client::request("GET", "/v1/models"));
  ASSERT_TRUE(submitted(1));
  send_end(0);
  EXPECT_EQ(c.read_answer().json()["object"], "chat.completion");
  EXPECT_EQ(c.read_answer().status, 404u);
  EXPECT_EQ(c.read_answer().json()["object"], "list");
  // And what comes while an answer is being made.
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(2));
  c.send(Client::request("GET", "/v1/models"));
  send_text(1, "Hello");
  send_end(1);
  EXPECT_THAT(c.read_answer().body, HasSubstr("[DONE]"));
  EXPECT_EQ(c.read_answer().json()["object"], "list");
}

TEST_F(HttpServer, EndsAtGarbage) {
  start();
  for (const std::string garbage : {"\x16\x03\x01\x02\x00 hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                                    "\r\n\r\n\r\n\r\nx y\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    Client c = client();
    c.send(Client::request("GET", "/v1/models") + garbage);
    EXPECT_EQ(c.read_answer().status, 200u);
    EXPECT_EQ(c.read_answer().status, 400u) << garbage;
    EXPECT_EQ(c.read_to_end(), "");
  }
}

TEST_F(HttpServer, RefusesWhatIsTooLarge) {
  start([](ServerConfig& config) { config.body_bytes_max = 1000; });
  Client header = client();
  header.send("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(header.read_answer().status, 431u);
  Client body = client();
  EXPECT_EQ(body.ask("POST", "/v1/completions", std::string(1001, 'x')).status, 413u);
  EXPECT_EQ(body.read_to_end(), "");
  Client chunked = client();
  chunked.send("POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 3; ++i) chunked.send("190\r\n" + std::string(400, 'x') + "\r\n");
  EXPECT_EQ(chunked.read_answer().status, 413u);
}

TEST_F(HttpServer, TakesChunkedBodiesAndExpectations) {
  start();
  Client chunked = client();
  chunked.send(
      "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "7\r\n{\"promp\r\n8\r\nt\":\"abc\"\r\n1\r\n}\r\n0\r\n\r\n");
  ASSERT_TRUE(submitted(1));
  send_end(0);
  EXPECT_EQ(chunked.read_answer().status, 200u);
  Client waiting = client();
  waiting.send(
      "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n");
  EXPECT_EQ(waiting.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  waiting.send(kText);
  ASSERT_TRUE(submitted(2));
  send_end(1);
  EXPECT_EQ(waiting.read_answer().status, 200u);
}

// Goal: a client that sends a little now and then, or nothing, holds a connection for a bounded time only.
TEST_F(HttpServer, ClosesConnectionsThatStall) {
  start([](ServerConfig& config) {
    config.header_wait_max = config.body_wait_max = config.idle_wait_max = std::chrono::milliseconds(30);
  });
  for (const std::string begun :
       {"", "GET / HT", "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"}) {
    Client c = client();
    c.send(begun);
    EXPECT_EQ(c.read_to_end(), "");
  }
  Client trickle = client();
  const auto begin = std::chrono::steady_clock::now();
  error_code failure;
  for (int i = 0; !failure && i < 5000; ++i) {
    asio::write(trickle.socket(), asio::buffer("x", 1), failure);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(failure);  // closed although bytes kept coming
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience);
}

TEST_F(HttpServer, BoundsItsConnections) {
  start([](ServerConfig& config) { config.connections_max = 2; });
  Client a = client();
  EXPECT_EQ(a.ask("GET", "/health").status, 200u);
  {
    Client b = client();
    EXPECT_EQ(b.ask("GET", "/health").status, 200u);
    Client turned_away = client();
    EXPECT_THAT(turned_away.read_to_end(), StartsWith("HTTP/1.1 503"));
  }
  const auto answered = [&] { return client().ask("GET", "/health").status == 200u; };
  bool again = false;
  for (int i = 0; i < 1000 && !again; ++i) again = answered();
  EXPECT_TRUE(again);
}

// --- clients that leave ---

TEST_F(HttpServer, CancelsWhenAWaitingClientLeaves) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChat));
  ASSERT_TRUE(submitted(1));
  c.close();
  EXPECT_TRUE(cancelled(0));
}

TEST_F(HttpServer, CancelsWhenAStreamingClientLeaves) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  send_text(0, "Hello");
  c.read_until("Hello");
  c.close();
  EXPECT_TRUE(cancelled(0));
  EXPECT_EQ(on_io([&] { return service_.cancel_calls; }), 1);
}

TEST_F(HttpServer, CancelsWhenAClientResets) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  c.socket().set_option(asio::socket_base::linger(true, 0));
  c.close();
  EXPECT_TRUE(cancelled(0));
}

// Goal: a client that asks and does not read costs pending_bytes_max besides the kernel's buffers, no more.
TEST_F(HttpServer, CancelsWhenAClientDoesNotRead) {
  start([](ServerConfig& config) { config.pending_bytes_max = 100'000; });
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  const std::string text(10'000, 'x');
  std::size_t sent = 0;
  while (sent < 100'000'000 && on_io([&] {
           if (service_.submitted[0].cancelled) return false;
           service_.submitted[0].sink->on_tokens({text, 1, {}});
           return true;
         })) {
    sent += text.size();
  }
  EXPECT_TRUE(cancelled(0));
  EXPECT_LT(sent, 100'000'000u);
}

TEST_F(HttpServer, GivesUpOnAClientThatStopsReading) {
  start([](ServerConfig& config) {
    config.write_wait_max = std::chrono::milliseconds(30);
    config.pending_bytes_max = 64 << 20;
  });
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  send_text(0, std::string(32 << 20, 'x'));
  EXPECT_TRUE(cancelled(0));
}

TEST_F(HttpServer, BoundsWhatIsPipelined) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChat));
  ASSERT_TRUE(submitted(1));
  c.send(std::string(1 << 20, 'x'));
  EXPECT_TRUE(cancelled(0));
}

TEST_F(HttpServer, CancelsWhatRunsWhenItEnds) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  on_io([&] { server_.reset(); });
  EXPECT_TRUE(on_io([&] { return service_.submitted[0].cancelled; }));
  c.read_to_end();
}

TEST_F(HttpServer, TellsThatTheCoordinatorShutsDown) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChat));
  ASSERT_TRUE(submitted(1));
  send_end(0, FinishReason::kCancelled);
  const Answer answer = c.read_answer();
  EXPECT_EQ(answer.status, 503u);
  EXPECT_EQ(answer.json()["error"]["code"], "shutting_down");
}

// --- starting ---

TEST_F(HttpServer, SaysWhyItCannotListen) {
  start();
  const auto refusal = [&](const std::function<void(ServerConfig&)>& change) {
    ServerConfig config;
    config.random = [] { return std::uint64_t{1}; };
    config.port = 0;
    change(config);
    return on_io([&] {
      auto server = Server::start(io_, service_, clock_, config);
      return server.ok() ? Error{} : server.error();
    });
  };
  const Error in_use = refusal([&](ServerConfig& config) { config.port = server_->port(); });
  EXPECT_EQ(in_use.code, ErrorCode::kAlreadyExists);
  EXPECT_THAT(in_use.message, HasSubstr(std::to_string(server_->port())));
  EXPECT_EQ(refusal([](ServerConfig& config) { config.host = "0.0.0.0"; }).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal([](ServerConfig& config) { config.host = "my phone"; }).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal([](ServerConfig& config) { config.host = "203.0.113.7", config.api_key = "secret"; }).code,
            ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace shoal::api
