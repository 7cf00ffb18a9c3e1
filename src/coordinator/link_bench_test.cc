// Goal: every link is told of once, measured or with the reason why not, whatever nodes answer or do not. How: scripted
// nodes over links on loopback.
#include "coordinator/link_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/scripted_node.h"
#include "model/test_models.h"

namespace shoal::coordinator {
namespace {

using test::ScriptedNode;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class LinkBenchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = std::move(*Store::open(folder_ / "state"));
    cluster_ =
        std::make_unique<Cluster>(transport_, *store_, clock_, "home",
                                  Cluster::Handlers{[](const NodeId&, const wire::Hello&) {},
                                                    [this](const NodeId& id, const Error&) { bench_->on_lost(id); },
                                                    [this](const NodeId& id, wire::Frame frame) { hear(id, frame); },
                                                    {}});
    ASSERT_TRUE(cluster_->listen({"127.0.0.1", 0}).ok());
    bench_.emplace(io_, clock_, *cluster_, 200ms);
    join(a_);
    join(b_);
  }
  void hear(const NodeId& id, const wire::Frame& frame) {
    if (const auto* measured = std::get_if<wire::LinkMeasured>(&frame.message)) bench_->on_measured(id, *measured);
    if (const auto* probed = std::get_if<wire::LinkProbed>(&frame.message)) bench_->on_probed(id, *probed);
  }
  void join(ScriptedNode& node) {
    node.open(cluster_->endpoint(), transport_.identity().id(),
              wire::JoinRequest{*cluster_->create_secret(1min), "phone"});
    ASSERT_TRUE(run_until([&] { return node.has<wire::JoinAccepted>(); }));
    node.link->close();
    node.open(cluster_->endpoint(), transport_.identity().id(), wire::Hello{.name = "phone"});
    ASSERT_TRUE(run_until([&] { return node.has<wire::Welcome>(); }));
  }
  MeasuredLink data(const ScriptedNode& from, const ScriptedNode& to) const {
    return {LinkKind::kData, from.id(), to.id(), "from", "to", StageId{1}};
  }
  void start(std::vector<MeasuredLink> links) {
    for (MeasuredLink& link : links) link.epoch = Epoch{3};
    bench_->start(std::move(links), [this](std::vector<MeasuredLink> done) {
      EXPECT_FALSE(done_) << "called back twice";
      done_ = std::move(done);
    });
    EXPECT_FALSE(done_) << "called back from inside the call";
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }
  wire::MeasureLink order(ScriptedNode& node, std::size_t index = 0) {
    EXPECT_TRUE(run_until([&] { return node.all<wire::MeasureLink>().size() > index; }));
    return node.all<wire::MeasureLink>().at(index);
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  SystemClock clock_;
  net::Transport transport_{io_, net::Identity::generate()};
  ScriptedNode a_{io_}, b_{io_};
  std::unique_ptr<Store> store_;
  std::optional<LinkBench> bench_;
  std::unique_ptr<Cluster> cluster_;
  std::optional<std::vector<MeasuredLink>> done_;
};

TEST_F(LinkBenchTest, NodesAreAskedOneAfterAnother) {
  start({data(a_, b_), data(b_, a_)});
  const auto first = order(a_);
  EXPECT_EQ(first.epoch, Epoch{3});
  EXPECT_EQ(first.from_stage, StageId{1});
  io_.run_for(10ms);
  EXPECT_FALSE(b_.has<wire::MeasureLink>());
  a_.send(wire::LinkMeasured{first.measure, true, "", 1234, 500'000, false});
  b_.send(wire::LinkMeasured{order(b_).measure, true, "", 99, 7, true});
  ASSERT_TRUE(run_until([&] { return done_.has_value(); }));
  EXPECT_EQ(done_->at(0).speed, (net::LinkSpeed{Duration(1234), 500'000}));
  EXPECT_EQ(done_->at(0).path, LinkPath::kRelay);
  EXPECT_EQ(done_->at(1).speed, (net::LinkSpeed{Duration(99), 7}));
  EXPECT_EQ(done_->at(1).path, LinkPath::kDirect);
  EXPECT_FALSE(bench_->running());
}

TEST_F(LinkBenchTest, ALinkFromHereIsMeasuredHere) {
  std::size_t answered = 0, bytes = 0;
  start({{LinkKind::kControl, std::nullopt, a_.id(), "coordinator", "a"}});
  ASSERT_TRUE(run_until([&] {
    for (; answered < a_.frames.size(); ++answered) {
      if (const auto* probe = std::get_if<wire::LinkProbe>(&a_.frames[answered].message)) {
        bytes += a_.frames[answered].raw.size();
        a_.send(wire::LinkProbed{probe->probe});
      }
    }
    return done_.has_value();
  }));
  ASSERT_TRUE(done_->at(0).speed);
  EXPECT_EQ(done_->at(0).path, LinkPath::kDirect);
  EXPECT_GT(done_->at(0).speed->bytes_per_s, 0);
  EXPECT_GT(bytes, wire::kProbeBytesMax);
}

TEST_F(LinkBenchTest, WhoRefusesIsSilentOrLeavesIsToldOf) {
  start({data(a_, b_), data(a_, b_), data(b_, a_), data(a_, b_), data(b_, a_)});
  a_.send(wire::LinkMeasured{order(a_).measure, false, "the plan is another by now"});
  order(a_, 1);  // no answer to this one
  order(b_);
  b_.link->close();
  ASSERT_TRUE(run_until([&] { return done_.has_value(); }));
  const auto why = [&](std::size_t i) { return done_->at(i).speed ? "measured" : done_->at(i).why_not; };
  EXPECT_EQ(why(0), "the plan is another by now");
  EXPECT_EQ(why(1), "the node does not answer");
  EXPECT_EQ(why(2), "the node left");
  EXPECT_EQ(why(3), "the node is not connected");
  EXPECT_EQ(why(4), "the node is not connected");
}

TEST_F(LinkBenchTest, OnlyTheAnswerOfTheNodeThatWasAskedCounts) {
  start({data(a_, b_)});
  const auto asked = order(a_);
  b_.send(wire::LinkMeasured{asked.measure, true, "", 1, 1, true});
  a_.send(wire::LinkMeasured{asked.measure + 1, true, "", 1, 1, true});
  ASSERT_TRUE(run_until([&] { return done_.has_value(); }));
  EXPECT_EQ(done_->at(0).why_not, "the node does not answer");
}

TEST_F(LinkBenchTest, NoLinksAndACancelledMeasuring) {
  start({});
  ASSERT_TRUE(run_until([&] { return done_.has_value(); }));
  EXPECT_TRUE(done_->empty());
  done_.reset();
  start({data(a_, b_)});
  const auto asked = order(a_);
  bench_->cancel();
  a_.send(wire::LinkMeasured{asked.measure, true, "", 1, 1, true});
  io_.run_for(300ms);
  EXPECT_FALSE(done_);
}

TEST(NetBench, TheSlowestLinkIsNamed) {
  const auto link = [](LinkKind kind, std::string to, int rtt_ms, double bytes_per_s) {
    MeasuredLink made{kind, {}, {}, "a", std::move(to), {}, LinkPath::kDirect};
    made.speed = {std::chrono::milliseconds(rtt_ms), bytes_per_s};
    return made;
  };
  NetBench bench{{}, 2048};
  EXPECT_EQ(slowest_link(bench), "No link was measured.");
  bench.links = {link(LinkKind::kControl, "far", 500, 1e6), link(LinkKind::kData, "thin", 4, 1e6),
                 link(LinkKind::kData, "late", 20, 1e9), link(LinkKind::kData, "gone", 900, 1)};
  bench.links[3].speed.reset();
  // 63 rows of 8 KiB at 1 MB/s take 516 ms, and half a round trip 2.
  EXPECT_EQ(
      slowest_link(bench),
      "The slowest data link is from a to thin: 10.19 ms for one row of hidden states (8.00 KiB), 518.10 ms for 63.");
  bench.links.resize(1);
  bench.links[0].path = LinkPath::kRelay;
  EXPECT_THAT(slowest_link(bench), HasSubstr("The slowest control link is from a to far, through the coordinator: "));
}

}  // namespace
}  // namespace shoal::coordinator
