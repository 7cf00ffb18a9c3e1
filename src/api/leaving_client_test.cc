// Goal: a client that leaves, or stops reading, frees its completion at once.
#include <gmock/gmock.h>

#include "api/server_test_support.h"

namespace shoal::api::test {
namespace {

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

}  // namespace
}  // namespace shoal::api::test
