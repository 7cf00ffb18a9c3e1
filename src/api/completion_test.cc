// Goal: completions come in OpenAI's shape, whole or as a stream, and so do the errors on the way.
#include <gmock/gmock.h>

#include "api/server_test_support.h"

namespace shoal::api::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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
    std::string event = body.substr(at, end - at);
    while (event.starts_with(':')) event.erase(0, event.find('\n') + 1);  // comments
    EXPECT_THAT(event, StartsWith("data: "));
    events.push_back(event.substr(6));
    at = end + 2;
  }
  return events;
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
  c.read_until(": waiting\n");
  c.read_until(": waiting\n");
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

}  // namespace
}  // namespace shoal::api::test
