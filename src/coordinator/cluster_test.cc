// Goal: only paired keys get in, a node has one control link, and nobody's frames go where the plan does not send them.
// How: scripted nodes over links on loopback.
#include "coordinator/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/scripted_node.h"
#include "model/test_models.h"

namespace shoal::coordinator {
namespace {

using test::ScriptedNode;
using ::testing::HasSubstr;

class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = std::move(*Store::open(folder_ / "state"));
    cluster_ = std::make_unique<Cluster>(
        transport_, *store_, clock_, "home",
        Cluster::Handlers{
            [this](const NodeId& id, const wire::Hello& hello) { log_.push_back("joined " + hello.name + mine(id)); },
            [this](const NodeId& id, const Error&) { log_.push_back("lost" + mine(id)); },
            [this](const NodeId&, wire::Frame frame) { frames_.push_back(std::move(frame)); },
            [](const Digest&, std::uint64_t offset, std::uint32_t length) -> Result<Bytes> {
              if (offset > 0) return Error{ErrorCode::kNotFound, "no such piece"};
              return Bytes(std::min(length, 5u), 42);
            }});
    ASSERT_TRUE(cluster_->listen({"127.0.0.1", 0}).ok());
  }
  std::string mine(const NodeId& id) const { return id == a_.id() ? " a" : id == b_.id() ? " b" : " ?"; }

  void open(ScriptedNode& node, const wire::Message& first) {
    node.open(cluster_->endpoint(), transport_.identity().id(), first);
  }
  void pair(ScriptedNode& node) {
    auto secret = cluster_->create_secret(std::chrono::minutes(1));
    ASSERT_TRUE(secret.ok());
    open(node, wire::JoinRequest{*secret, "phone"});
    ASSERT_TRUE(run_until([&] { return node.has<wire::JoinAccepted>(); }));
    node.link->close();
  }
  void connect(ScriptedNode& node, const std::string& name = "phone") {
    open(node, wire::Hello{.name = name});
    ASSERT_TRUE(run_until([&] { return node.has<wire::Welcome>(); }));
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }
  void expect_refused(ScriptedNode& node, ErrorCode code) {
    ASSERT_TRUE(run_until([&] { return node.closed.has_value(); }));
    EXPECT_EQ(node.closed->code, code) << node.closed->message;
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  SystemClock clock_;
  net::Transport transport_{io_, net::Identity::generate()};
  ScriptedNode a_{io_}, b_{io_};
  std::vector<std::string> log_;
  std::vector<wire::Frame> frames_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ClusterTest, APairedNodeIsWelcome) {
  pair(a_);
  EXPECT_TRUE(cluster_->members().contains(a_.id()));
  connect(a_, "Ana's phone");
  EXPECT_EQ(a_.all<wire::Welcome>()[0].coordinator_name, "home");
  EXPECT_EQ(log_, std::vector<std::string>{"joined Ana's phone a"});
  EXPECT_EQ(store_->nodes()->at(0).name, "Ana's phone");
  a_.send(wire::StageReady{StageId{3}});
  ASSERT_TRUE(run_until([&] { return !frames_.empty(); }));
}

TEST_F(ClusterTest, AnUnknownKeyGetsNoFurtherThanAJoinRequest) {
  open(a_, wire::Hello{.name = "stranger"});
  expect_refused(a_, ErrorCode::kUnauthenticated);
  open(a_, wire::FetchHello{});
  expect_refused(a_, ErrorCode::kUnauthenticated);
  open(a_, wire::JoinRequest{Bytes(16, 1), "guess"});
  expect_refused(a_, ErrorCode::kUnauthenticated);
  EXPECT_TRUE(cluster_->members().empty());
  EXPECT_TRUE(log_.empty());
}

TEST_F(ClusterTest, ASecretPairsOneKey) {
  auto secret = cluster_->create_secret(std::chrono::minutes(1));
  open(a_, wire::JoinRequest{*secret, "a"});
  ASSERT_TRUE(run_until([&] { return a_.has<wire::JoinAccepted>(); }));
  open(b_, wire::JoinRequest{*secret, "b"});
  expect_refused(b_, ErrorCode::kUnauthenticated);
  EXPECT_THAT(b_.closed->message, HasSubstr("already used"));
  EXPECT_EQ(cluster_->members().size(), 1u);
}

TEST_F(ClusterTest, ALinkThatClosesIsANodeThatIsLost) {
  pair(a_);
  connect(a_);
  a_.link->close();
  ASSERT_TRUE(run_until([&] { return log_.size() == 2; }));
  EXPECT_EQ(log_[1], "lost a");
  EXPECT_FALSE(cluster_->find(a_.id())->link);
  EXPECT_FALSE(cluster_->find(a_.id())->hello);
}

TEST_F(ClusterTest, ASecondHelloReplacesTheFirst) {
  pair(a_);
  connect(a_, "first");
  auto old = a_.link;
  connect(a_, "second");
  EXPECT_EQ(log_, (std::vector<std::string>{"joined first a", "lost a", "joined second a"}));
  ASSERT_TRUE(run_until([&] { return !old->is_open(); }));
  a_.send(wire::StageReady{StageId{3}});
  ASSERT_TRUE(run_until([&] { return !frames_.empty(); }));
  EXPECT_EQ(log_.size(), 3u) << "the end of the old link is not a loss";
}

TEST_F(ClusterTest, TheNewestTelemetryIsKeptAlsoOfANodeThatLeft) {
  pair(a_);
  EXPECT_FALSE(cluster_->find(a_.id())->telemetry);
  connect(a_);
  const Time before = clock_.now();
  for (const std::uint32_t percent : {84u, 3u}) {
    Telemetry telemetry;
    telemetry.device.battery_percent = percent;
    a_.send(telemetry);
  }
  a_.send(wire::StageReady{StageId{3}});  // comes after them
  ASSERT_TRUE(run_until([&] { return !frames_.empty(); }));
  EXPECT_EQ(cluster_->find(a_.id())->telemetry->device.battery_percent, 3u);
  EXPECT_GE(cluster_->find(a_.id())->telemetry_at, before);
  a_.link->close();
  ASSERT_TRUE(run_until([&] { return log_.size() == 2; }));
  EXPECT_EQ(cluster_->find(a_.id())->telemetry->device.battery_percent, 3u);
}

TEST_F(ClusterTest, FramesAreRelayedBetweenNodesOfThePlanOnly) {
  pair(a_);
  pair(b_);
  connect(a_);
  connect(b_);
  a_.send(wire::Relay{b_.id()}, Bytes(100, 0));  // no plan yet
  a_.send(wire::StageReady{StageId{3}});         // comes after it
  ASSERT_TRUE(run_until([&] { return frames_.size() == 1; }));
  EXPECT_EQ(cluster_->relayed_bytes(), 0u);

  cluster_->allow_relay_within({{a_.id(), 0}, {b_.id(), 0}});
  a_.send(wire::Relay{b_.id()}, Bytes{1});
  ASSERT_TRUE(run_until([&] { return b_.has<wire::Relay>(); }));
  EXPECT_EQ(b_.all<wire::Relay>()[0].peer, a_.id()) << "from whom";
  EXPECT_EQ(b_.frames.back().raw, Bytes{1});
  EXPECT_EQ(cluster_->relayed_bytes(), 1u);

  cluster_->allow_relay_within({{a_.id(), 0}, {b_.id(), 1}});
  a_.send(wire::Relay{b_.id()}, Bytes(100, 2));
  a_.send(wire::StageReady{StageId{4}});
  ASSERT_TRUE(run_until([&] { return frames_.size() == 2; }));
  EXPECT_EQ(cluster_->relayed_bytes(), 1u);
}

TEST_F(ClusterTest, ARevokedNodeIsCutOffAndStaysOut) {
  pair(a_);
  connect(a_);
  ASSERT_TRUE(cluster_->revoke(a_.id()).ok());
  EXPECT_EQ(log_, (std::vector<std::string>{"joined phone a", "lost a"}));
  EXPECT_EQ(cluster_->find(a_.id()), nullptr);
  expect_refused(a_, ErrorCode::kUnauthenticated);
  EXPECT_THAT(a_.closed->message, HasSubstr("revoked this device: pair again with a new join link"));
  for (const wire::Message& first : {wire::Message(wire::Hello{.name = "phone"}), wire::Message(wire::FetchHello{})}) {
    open(a_, first);
    expect_refused(a_, ErrorCode::kUnauthenticated);
    EXPECT_THAT(a_.closed->message, HasSubstr("shoal token create"));
  }
  EXPECT_EQ(log_.size(), 2u) << "the end of its links is no second loss";
  EXPECT_EQ(cluster_->revoke(a_.id()).error().code, ErrorCode::kNotFound);

  pair(a_);
  connect(a_);
  EXPECT_EQ(log_.size(), 3u);
}

TEST_F(ClusterTest, RevokingCutsFetchLinksAndRelaying) {
  pair(a_);
  pair(b_);
  connect(a_);
  const auto control = a_.link;
  open(a_, wire::FetchHello{});
  a_.send(wire::FetchPiece{Sha256::of(as_bytes("x")), 0, 1000});
  ASSERT_TRUE(run_until([&] { return a_.has<wire::PieceData>(); }));
  connect(b_);
  cluster_->allow_relay_within({{a_.id(), 0}, {b_.id(), 0}});
  ASSERT_TRUE(cluster_->revoke(a_.id()).ok());
  expect_refused(a_, ErrorCode::kUnauthenticated);
  ASSERT_TRUE(run_until([&] { return !control->is_open(); }));
  b_.send(wire::Relay{a_.id()}, Bytes(100, 0));
  b_.send(wire::StageReady{StageId{3}});  // comes after it
  ASSERT_TRUE(run_until([&] { return frames_.size() == 1; }));
  EXPECT_EQ(cluster_->relayed_bytes(), 0u);
}

TEST_F(ClusterTest, ANodeThatIsAwayCanBeRevoked) {
  pair(a_);
  ASSERT_TRUE(cluster_->revoke(a_.id()).ok());
  EXPECT_TRUE(log_.empty()) << "it was not there to be lost";
  EXPECT_TRUE(store_->nodes()->empty());
  open(a_, wire::Hello{.name = "phone"});
  expect_refused(a_, ErrorCode::kUnauthenticated);
}

TEST_F(ClusterTest, PiecesAreServedToPairedNodes) {
  pair(a_);
  open(a_, wire::FetchHello{});
  a_.send(wire::FetchPiece{Sha256::of(as_bytes("x")), 0, 1000});
  a_.send(wire::FetchPiece{Sha256::of(as_bytes("x")), 5, 1000});
  ASSERT_TRUE(run_until([&] { return a_.all<wire::PieceData>().size() == 2; }));
  EXPECT_TRUE(a_.all<wire::PieceData>()[0].found);
  EXPECT_EQ(a_.frames[0].raw, Bytes(5, 42));
  EXPECT_FALSE(a_.all<wire::PieceData>()[1].found);
}

TEST_F(ClusterTest, DataLinksAreForNodes) {
  pair(a_);
  open(a_, wire::DataHello{Epoch{1}});
  expect_refused(a_, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace shoal::coordinator
