// Goal: a node lets in only whom the plan names, and stops trying only when its coordinator knows it no more. How: a
// node on loopback, and peers that play its coordinator and its neighbour.
#include "node/node.h"

#include "node/node_test_support.h"

namespace shoal::node {
namespace {

using test::Peer;

// A link and what came over it.
struct Heard {
  std::shared_ptr<net::Link> link;
  std::vector<wire::Message> messages;
  std::optional<Error> closed;

  void start() {
    net::Link::Handlers handlers;
    handlers.on_frame = [this](wire::Frame frame) { messages.push_back(std::move(frame.message)); };
    handlers.on_closed = [this](const Error& error) { closed = error; };
    link->start(std::move(handlers));
  }
};

class NodeLinksTest : public ::testing::Test {
 protected:
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }

  void start(std::optional<net::JoinLink> join_link = {}) {
    Membership membership{coordinator_.id(), "home", {coordinator_.endpoint()}};
    ASSERT_TRUE(make_directories(folder_ / "state").ok());
    ASSERT_TRUE(membership.save(folder_ / "state").ok());
    NodeOptions options;
    options.state_directory = folder_ / "state";
    options.join_link = std::move(join_link);
    options.name = "phone";
    options.memory_bytes_max = 1u << 30;
    options.threads = 1;
    options.listen = {"127.0.0.1", 0};
    auto made = Node::create(io_, std::move(options), [this](const Error& error) { fatal_.push_back(error); }, {});
    ASSERT_TRUE(made.ok()) << made.error().message;
    node_ = std::move(*made);
    node_->start();
  }
  // Waits until the node has opened so many links to its coordinator; the last one's first message.
  const wire::Message& opened(std::size_t count) {
    EXPECT_TRUE(run_until([&] { return links_.size() >= count; }));
    EXPECT_EQ(links_.size(), count);
    return links_.back()->messages.at(0);
  }
  net::Link& control() { return *links_.back()->link; }

  // The neighbour opens a data link to the node, and waits for its answer or its refusal.
  std::unique_ptr<Heard> dial(std::uint16_t port) {
    auto heard = std::make_unique<Heard>();
    std::optional<Error> failed;
    neighbour_.dial({"127.0.0.1", port}, node_->id(), std::chrono::seconds(10), [&](auto link) {
      if (link.ok()) {
        heard->link = std::move(*link);
      } else {
        failed = link.error();
      }
    });
    EXPECT_TRUE(run_until([&] { return heard->link || failed; }));
    if (!heard->link) return heard;
    heard->start();
    heard->link->send(wire::DataHello{Epoch{1}});
    EXPECT_TRUE(run_until([&] { return !heard->messages.empty() || heard->closed; }));
    return heard;
  }
  wire::PlanStage stage_of(const NodeId& id, LayerRange range) const { return {StageId{range.last}, id, range, "x"}; }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  std::vector<std::unique_ptr<Heard>> links_;  // that the node opened to its coordinator
  Peer coordinator_{io_, [this](std::shared_ptr<net::Link> link, wire::Frame first) {
                      links_.push_back(std::make_unique<Heard>());
                      links_.back()->link = std::move(link);
                      links_.back()->messages.push_back(std::move(first.message));
                      links_.back()->start();
                    }};
  net::Transport neighbour_{io_, net::Identity::generate()};
  std::vector<Error> fatal_;
  std::unique_ptr<Node> node_;
};

TEST_F(NodeLinksTest, LinksOfANodeThatThePlanNamesNoMoreAreClosed) {
  start();
  const auto port = std::get<wire::Hello>(opened(1)).data_port;
  control().send(wire::Welcome{500, "home"});
  const wire::PlanStage first = stage_of(neighbour_.identity().id(), {0, 1}), second = stage_of(node_->id(), {1, 2});
  const wire::Plan without[] = {{Epoch{1}, {}}, {Epoch{3}, {second}}};  // withdrawn; and the next one
  for (std::uint64_t i = 0; i < 2; ++i) {
    control().send(wire::Plan{Epoch{2 * i + 1}, {first, second}});
    std::unique_ptr<Heard> link;
    ASSERT_TRUE(run_until([&] {  // until the plan has reached the node it closes
      link = dial(port);
      return !link->messages.empty();
    }));
    EXPECT_TRUE(link->link->is_open());
    control().send(without[i]);
    ASSERT_TRUE(run_until([&] { return link->closed.has_value(); })) << i;
    link = dial(port);
    ASSERT_TRUE(link->closed) << i;
    EXPECT_EQ(link->closed->code, ErrorCode::kUnauthenticated);
  }
  EXPECT_TRUE(fatal_.empty());
}

TEST_F(NodeLinksTest, ARevokedNodeGivesUp) {
  start();
  ASSERT_TRUE(std::holds_alternative<wire::Hello>(opened(1)));
  control().send(wire::Welcome{500, "home"});
  control().reject({ErrorCode::kUnauthenticated, "revoked: pair again"});
  ASSERT_TRUE(run_until([&] { return !fatal_.empty(); }));
  EXPECT_EQ(fatal_[0].message, "revoked: pair again");
  EXPECT_EQ(links_.size(), 1u);
}

TEST_F(NodeLinksTest, AnyOtherEndIsFollowedByANewBeginning) {
  start();
  for (std::size_t i = 1; i <= 2; ++i) {
    ASSERT_TRUE(std::holds_alternative<wire::Hello>(opened(i)));
    control().reject({ErrorCode::kResourceExhausted, "too many links; try later"});
  }
  ASSERT_TRUE(std::holds_alternative<wire::Hello>(opened(3)));
  EXPECT_TRUE(fatal_.empty());
}

TEST_F(NodeLinksTest, ARevokedNodePairsAgainWithAFreshLinkOnce) {
  start(net::JoinLink{{coordinator_.endpoint()}, coordinator_.id(), Bytes(net::kJoinSecretBytes, 7)});
  ASSERT_TRUE(std::holds_alternative<wire::Hello>(opened(1))) << "the link is not needed yet";
  control().reject({ErrorCode::kUnauthenticated, "not paired here"});
  const auto* request = std::get_if<wire::JoinRequest>(&opened(2));
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(request->secret, Bytes(net::kJoinSecretBytes, 7));
  control().send(wire::JoinAccepted{"home"});
  ASSERT_TRUE(std::holds_alternative<wire::Hello>(opened(3)));
  EXPECT_TRUE(fatal_.empty());
  control().reject({ErrorCode::kUnauthenticated, "revoked again"});
  ASSERT_TRUE(run_until([&] { return !fatal_.empty(); }));
  EXPECT_EQ(fatal_[0].message, "revoked again");
  EXPECT_EQ(links_.size(), 3u);
}

}  // namespace
}  // namespace shoal::node
