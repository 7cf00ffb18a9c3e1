// Goal: the server says why it cannot start, and no completion outlives it.
#include "api/server.h"

#include <gmock/gmock.h>

#include "api/server_test_support.h"

namespace shoal::api::test {
namespace {

using testing::HasSubstr;

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
}  // namespace shoal::api::test
