// Goal: a connection takes what HTTP/1.1 allows, and costs a bounded amount of memory and time whatever it sends.
#include <gmock/gmock.h>

#include "api/server_test_support.h"

namespace shoal::api::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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

TEST_F(HttpServer, BoundsWhatIsPipelined) {
  start();
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChat));
  ASSERT_TRUE(submitted(1));
  c.send(std::string(1 << 20, 'x'));
  EXPECT_TRUE(cancelled(0));
}

}  // namespace
}  // namespace shoal::api::test
