// Goal: each path answers what docs/api.md says, to those who may ask; the rest is refused in OpenAI's shape.
#include <gmock/gmock.h>

#include "api/server_test_support.h"

namespace shoal::api::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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

coordinator::NodeTelemetry telemetry_of_a_phone() {
  coordinator::NodeTelemetry telemetry;
  telemetry.age_s = 0.25;
  telemetry.told.device.battery_percent = 84;
  telemetry.told.device.battery_state = BatteryState::kNotCharging;
  telemetry.told.device.battery_current_ma = -512;
  telemetry.told.device.throttled = false;
  telemetry.told.neighbours = {{NodeId{Sha256::of(as_bytes("next"))}, std::nullopt}};
  telemetry.told.stages = {{StageId{7}, 2, 900, 1500, 400}, {StageId{8}}};
  telemetry.stage_ranges = {LayerRange{0, 11}, std::nullopt};
  return telemetry;
}

// Goal: what a node told comes out under the names of base/telemetry.h, and what it did not tell as null, never as 0.
void expect_telemetry_of_a_phone(const Json& telemetry) {
  EXPECT_EQ(telemetry["age_s"], 0.25);
  EXPECT_EQ(telemetry["battery_percent"], 84);
  EXPECT_EQ(telemetry["battery_state"], "not charging");
  EXPECT_EQ(telemetry["battery_current_ma"], -512);
  EXPECT_EQ(telemetry["throttled"], false);
  for (const char* unknown : {"cpu_own_permille", "memory_available_bytes", "cpu_millicelsius", "coordinator_rtt_us"}) {
    ASSERT_TRUE(telemetry.contains(unknown)) << unknown;
    EXPECT_TRUE(telemetry[unknown].is_null()) << unknown;
  }
  EXPECT_EQ(telemetry["neighbours"][0]["node"], Sha256::of(as_bytes("next")).hex());
  EXPECT_TRUE(telemetry["neighbours"][0]["rtt_us"].is_null());
  EXPECT_EQ(telemetry["stages"][0]["layers"]["last"], 11);
  EXPECT_EQ(telemetry["stages"][0]["steps_queued"], 2);
  EXPECT_EQ(telemetry["stages"][0]["step_us"], 1500);
  EXPECT_EQ(telemetry["stages"][0]["row_us"], 400);
  EXPECT_TRUE(telemetry["stages"][1]["layers"].is_null());
  EXPECT_TRUE(telemetry["stages"][1]["step_us"].is_null());
}

TEST_F(HttpServer, TellsTheStateOfTheShoal) {
  start();
  on_io([&] {
    coordinator::ClusterStatus& status = service_.cluster;
    status.exactness = "exact: every stage proved it";
    status.exact = true;
    status.nodes.resize(2);
    auto& phone = status.nodes[0];
    phone.name = "p\xff";
    phone.state = coordinator::NodeState::kConnected;
    phone.addresses = {"10.0.0.2:7421"};
    phone.range = LayerRange{0, 11};
    phone.rtt_ms = 2.5;
    phone.care = {0, "battery 14 %, below its 20 %"};
    phone.telemetry = telemetry_of_a_phone();
    status.nodes[1].name = "new";
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
  expect_telemetry_of_a_phone(json["nodes"][0]["telemetry"]);
  EXPECT_TRUE(json["nodes"][1]["telemetry"].is_null());
  const Json drained = {{"share_permille", 0}, {"drained", true}, {"reason", "battery 14 %, below its 20 %"}};
  EXPECT_EQ(json["nodes"][0]["care"], drained);
  EXPECT_EQ(json["nodes"][1]["care"]["share_permille"], 1000);
  EXPECT_EQ(json["nodes"][1]["care"]["drained"], false);
  EXPECT_EQ(json["plan"]["epoch"], 3);
  EXPECT_EQ(json["plan"]["stages"][0]["link_to_next"], "relay");
  EXPECT_EQ(json["plan"]["stages"][0]["memory"]["total_bytes"], 7);
}

TEST_F(HttpServer, RevokesNodes) {
  start();
  const NodeId phone{Sha256::of(as_bytes("phone"))};
  on_io([&] { service_.cluster.nodes = {{.id = phone, .name = "phone"}}; });
  Client c = client();
  const std::string key = "Authorization: Bearer admin\r\n";
  const std::string path = "/shoal/v1/nodes/";
  EXPECT_EQ(c.ask("DELETE", path + phone.hex()).status, 401u);
  EXPECT_EQ(c.ask("GET", path + phone.hex(), "", key).status, 405u);
  for (const std::string& id : {NodeId{}.hex(), phone.hex().substr(1), std::string("phone")}) {
    const Answer answer = c.ask("DELETE", path + id, "", key);
    EXPECT_EQ(answer.status, 404u) << id;
    EXPECT_EQ(answer.json()["error"]["code"], "node_not_found") << id;
  }
  EXPECT_TRUE(on_io([&] { return service_.revoked.empty(); }));
  const Answer answer = c.ask("DELETE", path + phone.hex(), "", key);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.json()["id"], phone.hex());
  EXPECT_EQ(on_io([&] { return service_.revoked; }), std::vector{phone});
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

const std::string kAdmin = "Authorization: Bearer admin\r\n";

TEST_F(HttpServer, TracesForAsLongAsAskedAndOneAtATime) {
  start();
  Client c = client();
  EXPECT_EQ(c.ask("GET", "/shoal/v1/trace?seconds=1").status, 401u);
  const Answer refused = c.ask("GET", "/shoal/v1/trace?seconds=61", "", kAdmin);
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(refused.json()["error"]["param"], "seconds");
  EXPECT_FALSE(on_io([&] { return service_.tracing; }));

  const auto begin = std::chrono::steady_clock::now();
  c.send(Client::request("GET", "/shoal/v1/trace?seconds=1", "", kAdmin));
  ASSERT_TRUE(eventually([&] { return service_.tracing; }));
  const Answer second = client().ask("GET", "/shoal/v1/trace", "", kAdmin);
  EXPECT_EQ(second.status, 409u);
  EXPECT_EQ(second.json()["error"]["code"], "trace_running");
  const Answer traced = c.read_answer();
  EXPECT_EQ(traced.status, 200u);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_TRUE(traced.json()["traceEvents"].is_array());
  EXPECT_FALSE(on_io([&] { return service_.tracing; }));
  EXPECT_EQ(c.ask("GET", "/health").status, 200u) << "the connection goes on";
}

TEST_F(HttpServer, ATraceEndsWithItsClient) {
  start();
  Client c = client();
  c.send(Client::request("GET", "/shoal/v1/trace?seconds=60", "", kAdmin));
  ASSERT_TRUE(eventually([&] { return service_.tracing; }));
  c.close();
  EXPECT_TRUE(eventually([&] { return !service_.tracing; }));
}

TEST_F(HttpServer, ATraceEndsWithTheServer) {
  start();
  Client c = client();
  c.send(Client::request("GET", "/shoal/v1/trace?seconds=60", "", kAdmin));
  ASSERT_TRUE(eventually([&] { return service_.tracing; }));
  on_io([&] { server_.reset(); });
  EXPECT_FALSE(on_io([&] { return service_.tracing; }));
}

TEST_F(HttpServer, MeasuresLinksForOneAtATime) {
  start();
  Client c = client();
  const std::string path = "/shoal/v1/bench/net";
  EXPECT_EQ(c.ask("POST", path).status, 401u);
  EXPECT_EQ(c.ask("GET", path, "", kAdmin).status, 405u);
  EXPECT_FALSE(on_io([&] { return service_.net_bench != nullptr; }));

  c.send(Client::request("POST", path, "{}", kAdmin));
  ASSERT_TRUE(eventually([&] { return service_.net_bench != nullptr; }));
  const Answer second = client().ask("POST", path, "", kAdmin);
  EXPECT_EQ(second.status, 409u);
  EXPECT_EQ(second.json()["error"]["code"], "bench_running");
  EXPECT_TRUE(on_io([&] { return service_.net_bench != nullptr; })) << "the first one goes on";
  const NodeId phone{Sha256::of({})};
  on_io([&] {
    using namespace coordinator;
    MeasuredLink down{LinkKind::kControl, std::nullopt, phone, "coordinator", "phone", {}, LinkPath::kDirect};
    down.speed = net::LinkSpeed{std::chrono::milliseconds(4), 1e6};
    MeasuredLink up{LinkKind::kData, phone, phone, "phone", "tablet", StageId{2}};
    up.why_not = "the node left";
    std::exchange(service_.net_bench, nullptr)({{down, up}, 250});
    return true;
  });
  const Answer answer = c.read_answer();
  EXPECT_EQ(answer.status, 200u);
  const auto json = answer.json();
  EXPECT_EQ(json["row_bytes"], 1000);
  const auto& down = json["links"][0];
  EXPECT_EQ(down["kind"], "control");
  EXPECT_EQ(down["path"], "direct");
  EXPECT_TRUE(down["from_node"].is_null());
  EXPECT_EQ(down["to_node"], phone.hex());
  EXPECT_EQ(down["rtt_ms"], 4.0);
  EXPECT_EQ(down["row_ms"], 3.0) << "half a round trip and 1000 bytes at 1 MB/s";
  EXPECT_EQ(down["step_ms"], 65.0);
  EXPECT_EQ(json["links"][1]["measured"], false);
  EXPECT_EQ(json["links"][1]["why_not"], "the node left");
  EXPECT_EQ(c.ask("GET", "/health").status, 200u) << "the connection goes on";
}

TEST_F(HttpServer, AMeasuringEndsWithItsClientAndWithTheServer) {
  start();
  for (const bool client_leaves : {true, false}) {
    Client c = client();
    c.send(Client::request("POST", "/shoal/v1/bench/net", "{}", kAdmin));
    ASSERT_TRUE(eventually([&] { return service_.net_bench != nullptr; }));
    if (client_leaves) {
      c.close();
    } else {
      on_io([&] { server_.reset(); });
    }
    EXPECT_TRUE(eventually([&] { return service_.net_bench == nullptr; }));
  }
}

coordinator::Event event(std::string text) {
  coordinator::Event event;
  event.text = std::move(text);
  return event;
}

TEST_F(HttpServer, TellsEvents) {
  start();
  const NodeId phone{Sha256::of(as_bytes("phone"))};
  on_io([&] {
    service_.tell({.unix_ms = 1'800'000'000'123,
                   .kind = coordinator::EventKind::kStageReady,
                   .node = phone,
                   .node_name = "p\xff",
                   .text = "stage ready after 1.4 s",
                   .duration_ms = 1400,
                   .epoch = Epoch{8},
                   .times = 2});
    service_.tell(event("plan"));
  });
  Client c = client();
  EXPECT_EQ(c.ask("GET", "/shoal/v1/events").status, 401u);
  EXPECT_EQ(c.ask("POST", "/shoal/v1/events", "", kAdmin).status, 405u);
  const Answer answer = c.ask("GET", "/shoal/v1/events", "", kAdmin);
  ASSERT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.json(), Json::parse(R"({"events": [{"number": 1, "unix_ms": 1800000000123, "kind": "stage_ready",
      "node": ")" + phone.hex() + R"(", "node_name": "p\ufffd", "text": "stage ready after 1.4 s", "duration_ms": 1400,
      "epoch": 8, "times": 2},
      {"number": 2, "unix_ms": 0, "kind": "coordinator_started", "node": null, "node_name": null, "text": "plan",
      "duration_ms": null, "epoch": null, "times": 1}], "newest": 2})"));
  const Answer page = c.ask("GET", "/shoal/v1/events?after=1&limit=7&since_s=60", "", kAdmin);
  EXPECT_EQ(page.json()["events"].size(), 1u);
  const auto query = on_io([&] { return service_.queries.back(); });
  EXPECT_EQ(query.limit, 7u);
  EXPECT_EQ(query.since, std::chrono::seconds(60));
  EXPECT_EQ(c.ask("GET", "/shoal/v1/events?limit=0", "", kAdmin).json()["error"]["param"], "limit");
  on_io([&] { service_.events_fail_with = Error{ErrorCode::kCorrupt, "cannot read the events: malformed"}; });
  const Answer failed = c.ask("GET", "/shoal/v1/events", "", kAdmin);
  EXPECT_EQ(failed.status, 500u);
  EXPECT_THAT(failed.body, HasSubstr("malformed"));
}

// Goal: who waits gets the next event when it happens, or nothing when its time is over, and holds up nobody.
TEST_F(HttpServer, WaitsForTheNextEvent) {
  start();
  on_io([&] { service_.tell(event("first")); });
  Client c = client();
  EXPECT_EQ(c.ask("GET", "/shoal/v1/events?after=0&wait_s=60", "", kAdmin).json()["events"].size(), 1u)
      << "there is one: no wait";
  const Answer later = c.ask("GET", "/shoal/v1/events?after=5&wait_s=60", "", kAdmin);
  EXPECT_EQ(later.json()["newest"], 1) << "a client that knows more than there is does not wait for ever";

  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(c.ask("GET", "/shoal/v1/events?after=1&wait_s=1", "", kAdmin).json()["events"].empty());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));

  const std::size_t asked = on_io([&] { return service_.queries.size(); });
  c.send(Client::request("GET", "/shoal/v1/events?after=1&wait_s=60", "", kAdmin));
  ASSERT_TRUE(eventually([&] { return service_.queries.size() > asked; }));
  EXPECT_EQ(client().ask("GET", "/health").status, 200u);
  on_io([&] { service_.tell(event("second")); });
  const Answer woken = c.read_answer();
  EXPECT_EQ(woken.json()["events"][0]["text"], "second");
  EXPECT_EQ(c.ask("GET", "/health").status, 200u) << "the connection goes on";
}

TEST_F(HttpServer, AWaitForEventsEndsWithItsClientAndWithTheServer) {
  start();
  for (const bool client_leaves : {true, false}) {
    Client c = client();
    c.send(Client::request("GET", "/shoal/v1/events?after=0&wait_s=60", "", kAdmin));
    const auto watched = [&] { return !service_.watches.empty() && !service_.watches.back().expired(); };
    ASSERT_TRUE(eventually(watched));
    if (client_leaves) {
      c.close();
    } else {
      on_io([&] { server_.reset(); });
    }
    EXPECT_TRUE(eventually([&] { return !watched(); }));
  }
}

}  // namespace
}  // namespace shoal::api::test
