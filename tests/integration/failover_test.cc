// Goal: a node that goes costs a pause and nothing else; one that comes back needs no bytes again; nodes that cannot
// reach each other are served by the coordinator's relay. How: whole shoals in this process; nodes are destroyed in the
// middle of a generation; answers compared bit by bit.
#include <gmock/gmock.h>
#include <boost/asio/ip/tcp.hpp>

#include "integration/shoal_in_process.h"

namespace shoal::test {
namespace {

const coordinator::CompletionRequest kLong = sampled_request_of(prompt_of(60), 100, 9);

class LostStage : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Index, LostStage, ::testing::Values(0, 1, 2));

TEST_P(LostStage, CostsAPauseAndNoToken) {
  const auto expected = answers_of_one_node({kLong});
  Shoal shoal(3);
  shoal.serve();
  auto heard = shoal.submit(kLong);
  ASSERT_TRUE(shoal.run_until([&] { return heard->tokens.size() >= 10; }));
  shoal.stop_node(shoal.host_of(GetParam()));
  ASSERT_TRUE(shoal.run_until([&] { return heard->ended(); }));
  expect_equal(*heard, *expected[0]);
  EXPECT_GE(shoal.status().plan->epoch.value, 2u);
  EXPECT_EQ(shoal.status().plan->stages.size(), 2u);
}

TEST(Failover, FourInCompanySurviveTwoLosses) {
  std::vector<coordinator::CompletionRequest> requests;
  for (Token i = 0; i < 4; ++i) requests.push_back(sampled_request_of(prompt_of(30, 5 + i), 60, 50 + i));
  const auto expected = answers_of_one_node(requests);
  Shoal shoal(4);
  shoal.serve();
  std::vector<std::shared_ptr<Heard>> heard;
  for (const auto& request : requests) heard.push_back(shoal.submit(request));
  ASSERT_TRUE(shoal.run_until([&] { return heard[3]->tokens.size() >= 5; }));
  shoal.stop_node(shoal.host_of(3));
  ASSERT_TRUE(shoal.run_until([&] { return heard[3]->tokens.size() >= 20; }));
  shoal.stop_node(shoal.host_of(0));
  ASSERT_TRUE(shoal.run_until(
      [&] { return std::all_of(heard.begin(), heard.end(), [](const auto& each) { return each->ended(); }); }));
  for (std::size_t i = 0; i < heard.size(); ++i) expect_equal(*heard[i], *expected[i]);
}

TEST(Failover, ANodeThatComesBackFetchesNothing) {
  const auto expected = answers_of_one_node({kLong});
  Shoal shoal(1);
  shoal.serve();
  auto heard = shoal.submit(kLong);
  ASSERT_TRUE(shoal.run_until([&] { return heard->tokens.size() >= 10; }));
  shoal.stop_node("node-1");
  ASSERT_TRUE(shoal.run_until([&] { return shoal.status().state == coordinator::ClusterState::kNoPlan; }));
  EXPECT_FALSE(heard->ended()) << "it waits for a node";
  shoal.start_node({.name = "node-1"});
  ASSERT_TRUE(shoal.run_until([&] { return heard->ended(); }));
  expect_equal(*heard, *expected[0]);

  const auto& events = shoal.events_of("node-1");
  auto fetching = std::find_if(events.begin(), events.end(),
                               [](const auto& event) { return event.kind == node::NodeEvent::Kind::kFetching; });
  ASSERT_NE(fetching, events.end());
  EXPECT_GT(fetching->bytes_total, 0u);
  EXPECT_EQ(fetching->bytes_done, fetching->bytes_total) << "the shard was on flash";
  for (const auto& event : events) EXPECT_NE(event.kind, node::NodeEvent::Kind::kPaired) << "it is paired already";
}

// Both nodes tell a port that nobody listens on, and that nobody else can take, so that no peer can dial them.
TEST(Relay, ServesNodesThatCannotReachEachOther) {
  boost::asio::io_context unused;
  boost::asio::ip::tcp::acceptor deaf(unused, boost::asio::ip::tcp::v4());
  deaf.bind({boost::asio::ip::address_v4::loopback(), 0});
  const net::Endpoint nowhere{"127.0.0.1", deaf.local_endpoint().port()};
  const auto expected = answers_of_one_node({kLong});
  Shoal shoal(2);
  for (const char* name : {"a", "b"}) shoal.start_node({.name = name, .announce = nowhere});
  ASSERT_TRUE(shoal.run_until_serving());
  expect_equal(*shoal.complete(kLong), *expected[0]);
  const auto status = shoal.status();
  EXPECT_EQ(status.plan->stages[0].to_next, coordinator::LinkPath::kRelay);
  // A row of the hidden state for every token that was computed.
  EXPECT_GT(status.relayed_bytes, (60 + 99) * 256 * sizeof(float));
}

}  // namespace
}  // namespace shoal::test
