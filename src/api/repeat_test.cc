// Goal: a request that is asked again with its key gets the same answer from its start, or the rest of it, and never a
// piece of another one; what a stopping coordinator leaves unsaid ends with a typed error.
#include "api/repeat.h"

#include <gmock/gmock.h>

#include "api/server_test_support.h"

namespace shoal::api::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kKey = "Idempotency-Key: k-1\r\n";
const std::string kTextStream = R"({"prompt":"abc","stream":true})";

// --- headers ---

TEST(Repeat, TakesKeysWithAndWithoutQuotes) {
  const auto key = [](const std::string& header) {
    const ApiResult<Repeat> parsed = parse_repeat(header, std::nullopt);
    return std::holds_alternative<Repeat>(parsed) ? std::get<Repeat>(parsed).key : "refused";
  };
  EXPECT_EQ(key("8e03978e-40d5"), "8e03978e-40d5");
  EXPECT_EQ(key("\"8e03978e-40d5\""), "8e03978e-40d5");
  EXPECT_EQ(key(std::string(128, 'x')), std::string(128, 'x'));
  for (const std::string bad : {"", "\"\"", "two words", "a, b", "tab\t", "\x7f", "caf\xc3\xa9"}) {
    EXPECT_EQ(key(bad), "refused") << bad;
  }
  EXPECT_EQ(key(std::string(129, 'x')), "refused");
  const ApiResult<Repeat> none = parse_repeat(std::nullopt, std::nullopt);
  ASSERT_TRUE(std::holds_alternative<Repeat>(none));
  EXPECT_EQ(std::get<Repeat>(none).key, "");
}

TEST(Repeat, TakesIdsOfEventsOnly) {
  const auto id = EventId::parse("17.0123456789abcdef");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->number, 17u);
  EXPECT_EQ(id->text(), "17.0123456789abcdef");
  for (const std::string bad :
       {"", "17", "17.", ".0123456789abcdef", "0.0123456789abcdef", "-1.0123456789abcdef", "17.0123456789abcde",
        "17.0123456789abcdef0", "17.0123456789ABCDEF", "4294967296.0123456789abcdef", "17 .0123456789abcdef"}) {
    EXPECT_FALSE(EventId::parse(bad)) << bad;
  }
}

TEST(Repeat, TheRequestIsPathAndBody) {
  EXPECT_EQ(request_digest(RequestKind::kChat, "{}"), request_digest(RequestKind::kChat, "{}"));
  EXPECT_NE(request_digest(RequestKind::kChat, "{}"), request_digest(RequestKind::kText, "{}"));
  EXPECT_NE(request_digest(RequestKind::kChat, "{}"), request_digest(RequestKind::kChat, "{ }"));
}

// --- numbers of events ---

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}
// The id that an event was sent with.
std::string id_of(const std::string& sent) {
  return sent.starts_with("id: ") ? sent.substr(4, sent.find('\n') - 4) : "";
}

TEST(EventNumbers, WithoutAKeyEventsStayAsTheyAre) {
  EventNumbers numbers(Repeat{});
  EXPECT_EQ(numbers.next(event("a")), event("a"));
  EXPECT_EQ(numbers.next(""), "");
}

TEST(EventNumbers, TheRestOfAnAnswerBeginsBehindTheEventThatTheClientHas) {
  EventNumbers whole(Repeat{"key", {}});
  std::vector<std::string> sent;
  for (const char* data : {"a", "b", "b", "c"}) sent.push_back(whole.next(event(data)));
  EXPECT_THAT(sent[0], StartsWith("id: 1."));
  EXPECT_NE(id_of(sent[1]).substr(2), id_of(sent[2]).substr(2)) << "of all events up to it";
  for (std::size_t has = 1; has <= sent.size(); ++has) {
    EventNumbers rest(Repeat{"key", EventId::parse(id_of(sent[has - 1]))});
    std::string heard;
    for (const char* data : {"a", "b", "", "b", "c"}) heard += rest.next(*data == '\0' ? "" : event(data));
    std::string expected;
    for (std::size_t i = has; i < sent.size(); ++i) expected += sent[i];
    EXPECT_EQ(heard, expected);
    EXPECT_FALSE(rest.skipping());
    EXPECT_FALSE(rest.differs());
  }
}

TEST(EventNumbers, AnotherAnswerIsNotItsRest) {
  EventNumbers whole(Repeat{"key", {}});
  (void)whole.next(event("a"));
  const auto has = EventId::parse(id_of(whole.next(event("b"))));
  EventNumbers other(Repeat{"key", has});
  for (const char* data : {"x", "b", "c"}) EXPECT_EQ(other.next(event(data)), "");
  EXPECT_TRUE(other.differs());
  EventNumbers shorter(Repeat{"key", has});
  EXPECT_EQ(shorter.next(event("a")), "");
  EXPECT_TRUE(shorter.skipping()) << "it ended before what the client has";
}

// --- through HTTP ---

TEST_F(HttpServer, GivesTheSameAnswerForTheSameKey) {
  start();
  const auto ask = [&](std::size_t index) {
    Client c = client();
    c.send(Client::request("POST", "/v1/chat/completions", kChatStream, kKey));
    EXPECT_TRUE(submitted(index + 1));
    send_text(index, "Hello");
    send_text(index, " there");
    send_end(index);
    return c.read_answer();
  };
  const Answer first = ask(0), again = ask(1);
  EXPECT_EQ(first.status, 200u);
  EXPECT_THAT(first.body, HasSubstr("id: 3."));
  EXPECT_EQ(first.body, again.body) << "id, created and the events' ids too";
  EXPECT_EQ(service_.submitted[0].request.sampling.seed, service_.submitted[1].request.sampling.seed);
  // Another key draws another seed.
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream, "Idempotency-Key: k-2\r\n"));
  ASSERT_TRUE(submitted(3));
  EXPECT_NE(service_.submitted[2].request.sampling.seed, service_.submitted[0].request.sampling.seed);
}

TEST_F(HttpServer, KeepsTheSeedThatARequestNames) {
  start();
  const std::string body = R"({"prompt":"abc","seed":77})";
  for (std::size_t i = 0; i < 2; ++i) {
    Client c = client();
    c.send(Client::request("POST", "/v1/completions", body, kKey));
    ASSERT_TRUE(submitted(i + 1));
    EXPECT_EQ(on_io([&] { return service_.submitted[i].request.sampling.seed; }), 77u);
    send_end(i);
    EXPECT_EQ(c.read_answer().status, 200u);
  }
}

TEST_F(HttpServer, GivesTheRestOfAnAnswer) {
  start();
  Client broken = client();
  broken.send(Client::request("POST", "/v1/completions", kTextStream, kKey));
  ASSERT_TRUE(submitted(1));
  send_text(0, "one");
  send_text(0, " two");
  const std::string seen = broken.read_until(" two");
  const std::size_t at = seen.rfind("id: ");
  const std::string id = seen.substr(at + 4, seen.find('\n', at) - at - 4);
  broken.close();
  ASSERT_TRUE(cancelled(0));

  const std::string headers = std::string(kKey) + "Last-Event-ID: " + id + "\r\n";
  Client c = client();
  c.send(Client::request("POST", "/v1/completions", kTextStream, headers));
  ASSERT_TRUE(submitted(2));
  for (const char* text : {"one", " two", " three"}) send_text(1, text);
  send_end(1);
  const Answer rest = c.read_answer();
  EXPECT_THAT(rest.body, Not(HasSubstr("one")));
  EXPECT_THAT(rest.body, Not(HasSubstr(" two")));
  EXPECT_THAT(rest.body, HasSubstr(" three"));
  EXPECT_THAT(rest.body, HasSubstr("[DONE]"));

  // One that came out another way is cancelled, and told as such.
  Client other = client();
  other.send(Client::request("POST", "/v1/completions", kTextStream, headers));
  ASSERT_TRUE(submitted(3));
  for (const char* text : {"one", " too"}) send_text(2, text);
  const Answer refused = other.read_answer();
  EXPECT_THAT(refused.body, HasSubstr("answer_differs"));
  EXPECT_THAT(refused.body, Not(HasSubstr("too")));
  EXPECT_THAT(refused.body, Not(HasSubstr("[DONE]")));
  EXPECT_TRUE(cancelled(2));
}

TEST_F(HttpServer, ShowsThatItLivesWhileItPassesWhatTheClientHas) {
  start();
  on_io([&] { service_.kept["k-1"] = {request_digest(RequestKind::kText, kTextStream), service_.decided_by()}; });
  Client c = client();
  c.send(Client::request("POST", "/v1/completions", kTextStream,
                         std::string(kKey) + "Last-Event-ID: 9.0123456789abcdef\r\n"));
  ASSERT_TRUE(submitted(1));
  send_text(0, "one");
  EXPECT_THAT(c.read_until(": waiting\n"), HasSubstr("200 OK"));
  send_end(0);
  const std::string rest = c.read_until("\r\n0\r\n\r\n");
  EXPECT_THAT(rest, HasSubstr("answer_differs")) << "it ended before its ninth event";
  // openai-python takes an empty line for an event, without data, once an event had an id.
  EXPECT_THAT(rest, StartsWith("\r\n")) << "no empty line behind the comment";
}

TEST_F(HttpServer, RefusesWhatIsNotTheSameRequest) {
  start();
  const auto ask = [&](const std::string& path, const std::string& body, const std::string& headers) {
    const Answer answer = client().ask("POST", path, body, headers);
    return std::to_string(answer.status) + " " + answer.json()["error"]["code"].get<std::string>();
  };
  Client c = client();
  c.send(Client::request("POST", "/v1/completions", kText, kKey));
  ASSERT_TRUE(submitted(1));
  send_end(0);
  ASSERT_EQ(c.read_answer().status, 200u);
  const std::string last = "Last-Event-ID: 1.0123456789abcdef\r\n";
  EXPECT_EQ(ask("/v1/completions", R"({"prompt":"abd"})", kKey), "422 idempotency_key_reused");
  EXPECT_EQ(ask("/v1/chat/completions", kChat, kKey), "422 idempotency_key_reused");
  EXPECT_EQ(ask("/v1/completions", kText, "Idempotency-Key: a b\r\n"), "400 invalid_idempotency_key");
  EXPECT_EQ(ask("/v1/completions", kText, std::string(kKey) + kKey), "400 invalid_idempotency_key");
  EXPECT_EQ(ask("/v1/completions", kText, std::string(kKey) + "Last-Event-ID: 1\r\n"), "400 invalid_last_event_id");
  EXPECT_EQ(ask("/v1/completions", kTextStream, last), "400 invalid_last_event_id");
  EXPECT_EQ(ask("/v1/completions", kText, kKey + last), "400 invalid_last_event_id");
  EXPECT_EQ(ask("/v1/completions", kTextStream, "Idempotency-Key: k-3\r\n" + last), "422 idempotency_key_unknown");
  on_io([&] { service_.model_bytes = "another model"; });
  EXPECT_EQ(ask("/v1/completions", kText, kKey), "422 model_changed");
  on_io([&] { service_.claim_fails_with = Error{ErrorCode::kResourceExhausted, "the disk is full"}; });
  EXPECT_EQ(ask("/v1/completions", kText, "Idempotency-Key: k-4\r\n"), "503 key_not_kept");
  EXPECT_TRUE(submitted(1)) << "none of them was computed";
}

// Goal: one key has one answer being made at a time: who asks again takes it over.
TEST_F(HttpServer, TheEarlierConnectionGivesWay) {
  start();
  Client streaming = client();
  streaming.send(Client::request("POST", "/v1/completions", kTextStream, kKey));
  ASSERT_TRUE(submitted(1));
  send_text(0, "one");
  streaming.read_until("one");
  Client again = client();
  again.send(Client::request("POST", "/v1/completions", kTextStream, kKey));
  ASSERT_TRUE(submitted(2));
  EXPECT_TRUE(cancelled(0));
  EXPECT_THAT(streaming.read_until("\r\n0\r\n\r\n"), HasSubstr("asked_again"));
  send_end(1);
  EXPECT_THAT(again.read_answer().body, HasSubstr("[DONE]"));

  Client waiting = client();
  waiting.send(Client::request("POST", "/v1/completions", kText, "Idempotency-Key: k-2\r\n"));
  ASSERT_TRUE(submitted(3));
  again.send(Client::request("POST", "/v1/completions", kText, "Idempotency-Key: k-2\r\n"));
  ASSERT_TRUE(submitted(4));
  EXPECT_EQ(waiting.read_answer().status, 409u);
  send_end(3);
  EXPECT_EQ(again.read_answer().status, 200u);
}

// --- the end of the coordinator ---

class Stopping : public HttpServer {
 protected:
  // As `shoal serve` does it: the coordinator ends the answers that run, and the server says so.
  void stop_serving() {
    on_io([&] {
      for (auto& each : service_.submitted) {
        if (each.sink && !each.cancelled) each.sink->on_end(FinishReason::kCancelled, {}, {});
      }
      service_.refuse_with = Error{ErrorCode::kCancelled, "shutting down"};
      server_->stop(kPatience, [this] { ended_ = true; });
    });
  }
  bool ended_ = false;
};

TEST_F(Stopping, EndsWhatRunsWithATypedError) {
  start();
  Client streaming = client(), waiting = client(), idle = client();
  EXPECT_EQ(idle.ask("GET", "/health").status, 200u);
  streaming.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  waiting.send(Client::request("POST", "/v1/chat/completions", kChat));
  ASSERT_TRUE(submitted(2));
  send_text(0, "Hello");
  streaming.read_until("Hello");
  stop_serving();
  const std::string end = streaming.read_until("\r\n0\r\n\r\n");
  EXPECT_THAT(end, HasSubstr("\"code\":\"shutting_down\""));
  EXPECT_THAT(end, HasSubstr("\nretry: 5000\n"));
  EXPECT_THAT(end, Not(HasSubstr("[DONE]")));
  const Answer refused = waiting.read_answer();
  EXPECT_EQ(refused.status, 503u);
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: 5"));
  EXPECT_EQ(refused.json()["error"]["code"], "shutting_down");
  for (Client* each : {&streaming, &waiting, &idle}) EXPECT_EQ(each->read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return ended_; })) << "nobody is waited for any more";
}

TEST_F(Stopping, AnswersWhatIsHalfAsked) {
  start();
  Client c = client();
  c.send("POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n");
  ASSERT_THAT(c.read_until("\r\n\r\n"), HasSubstr("100 Continue"));
  stop_serving();
  EXPECT_FALSE(on_io([&] { return ended_; }));
  c.send(kText);
  const Answer refused = c.read_answer();
  EXPECT_EQ(refused.status, 503u);
  EXPECT_EQ(refused.json()["error"]["code"], "shutting_down");
  EXPECT_TRUE(eventually([&] { return ended_; }));
}

TEST_F(Stopping, DoesNotWaitForThoseWhoDoNotRead) {
  start([](ServerConfig& config) { config.pending_bytes_max = 64 << 20; });
  Client c = client();
  c.send(Client::request("POST", "/v1/chat/completions", kChatStream));
  ASSERT_TRUE(submitted(1));
  send_text(0, std::string(32 << 20, 'x'));
  on_io([&] { server_->stop(std::chrono::milliseconds(30), [this] { ended_ = true; }); });
  EXPECT_TRUE(eventually([&] { return ended_; }));
}

TEST_F(Stopping, AnswersEventsAndTracesWithWhatThereIs) {
  start();
  Client events = client(), trace = client();
  const std::string admin = "Authorization: Bearer admin\r\n";
  events.send(Client::request("GET", "/shoal/v1/events?after=0&wait_s=60", "", admin));
  trace.send(Client::request("GET", "/shoal/v1/trace?seconds=60", "", admin));
  ASSERT_TRUE(eventually([&] { return service_.tracing && !service_.watches.empty(); }));
  stop_serving();
  EXPECT_EQ(events.read_answer().json()["events"], Json::array());
  EXPECT_EQ(trace.read_answer().status, 200u);
  EXPECT_TRUE(eventually([&] { return ended_; }));
}

}  // namespace
}  // namespace shoal::api::test
