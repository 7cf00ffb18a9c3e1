// Goal: frames reach the next node in order, direct where that can be, through the coordinator where not, and none
// overtakes another when the way changes. How: peers on loopback that answer, refuse, keep silent or go; a relay that
// is a list.
#include "node/data_links.h"

#include "node/node_test_support.h"

namespace shoal::node {
namespace {

using ::testing::HasSubstr;

class DataLinksTest : public ::testing::Test {
 protected:
  DataLinksTest()
      : peer_(io_,
              [this](std::shared_ptr<net::Link> link, const wire::Frame& first) {
                accepted_.push_back(link);
                net::Link::Handlers handlers;
                handlers.on_frame = [this](wire::Frame frame) { arrived_.push_back(std::move(frame)); };
                handlers.on_closed = [](const Error&) {};
                link->start(std::move(handlers));
                hello_ = first.message;
                if (answers_) link->send(first.message);
              }),
        links_(io_, transport_,
               {[this](const wire::LinkReport& report) { reports_.push_back(report); },
                [this](Epoch epoch, const Error&) { broken_.push_back(epoch); },
                [this](const NodeId& to, Bytes frame) {
                  EXPECT_EQ(to, peer_.id());
                  relayed_.push_back(std::move(frame));
                }}) {}

  wire::Plan plan(std::uint64_t epoch, std::vector<std::string> addresses = {"127.0.0.1"}) const {
    wire::PlanStage first, second;
    first.stage = StageId{1};
    first.node = transport_.identity().id();
    second.stage = StageId{2};
    second.node = peer_.id();
    second.addresses = std::move(addresses);
    second.data_port = peer_.endpoint().port;
    return {Epoch{epoch}, {first, second}};
  }
  void set_plan(std::uint64_t epoch) { links_.set_plan(plan(epoch), transport_.identity().id()); }
  void send_step(std::uint64_t id) {
    wire::Step step;
    step.step = StepId{id};
    step.rows = {{SequenceId{1}, 0, 0, 0}};
    links_.send(peer_.id(), step, std::make_shared<const Bytes>(Bytes{1, 2, 3, static_cast<std::uint8_t>(id)}));
  }
  bool run_until(const std::function<bool()>& condition) { return test::run_until(io_, condition); }
  std::vector<std::uint64_t> steps_arrived() const {
    std::vector<std::uint64_t> ids;
    for (const auto& frame : arrived_) ids.push_back(std::get<wire::Step>(frame.message).step.value);
    return ids;
  }

  // A plan whose peer refuses us until step 1 has gone through the coordinator.
  void relay_until_reachable() {
    peer_.knows_callers = false;
    set_plan(1);
    send_step(1);
    ASSERT_TRUE(run_until([&] { return relayed_.size() == 1; }));
    peer_.knows_callers = true;
  }
  std::vector<std::uint64_t> relayed_steps() const {
    std::vector<std::uint64_t> ids;
    for (const Bytes& frame : relayed_) {
      const auto decoded = wire::decode_frame(frame);
      EXPECT_TRUE(decoded.ok());
      if (const auto* step = std::get_if<wire::Step>(&decoded->message)) ids.push_back(step->step.value);
    }
    return ids;
  }
  // What asks through the relay whether it is empty, once it comes as the last of what is relayed; 0: it does not.
  std::uint64_t take_over_probe() {
    std::uint64_t probe = 0;
    const bool came = run_until([&] {
      const auto last = wire::decode_frame(relayed_.back());
      const auto* found = last.ok() ? std::get_if<wire::LinkProbe>(&last->message) : nullptr;
      if (found != nullptr) probe = found->probe;
      return found != nullptr;
    });
    EXPECT_TRUE(came);
    return probe;
  }

  boost::asio::io_context io_;
  net::Transport transport_{io_, net::Identity::generate()};
  bool answers_ = true;
  std::vector<std::shared_ptr<net::Link>> accepted_;
  std::optional<wire::Message> hello_;
  std::vector<wire::Frame> arrived_;
  std::vector<wire::LinkReport> reports_;
  std::vector<Epoch> broken_;
  std::vector<Bytes> relayed_;
  test::Peer peer_;
  DataLinks links_;
};

TEST_F(DataLinksTest, WhatIsSentWhileDiallingArrivesInOrder) {
  set_plan(1);
  send_step(1);
  send_step(2);
  ASSERT_TRUE(run_until([&] { return !reports_.empty(); }));
  send_step(3);
  ASSERT_TRUE(run_until([&] { return arrived_.size() == 3; }));
  EXPECT_EQ(steps_arrived(), (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(arrived_[2].raw, (Bytes{1, 2, 3, 3}));
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_TRUE(reports_[0].direct);
  EXPECT_EQ(reports_[0].from_stage, StageId{1});
  EXPECT_EQ(reports_[0].to_stage, StageId{2});
  EXPECT_TRUE(relayed_.empty());
}

TEST_F(DataLinksTest, TheLinkIsKeptFromPlanToPlan) {
  set_plan(1);
  ASSERT_TRUE(run_until([&] { return reports_.size() == 1; }));
  set_plan(2);
  ASSERT_EQ(reports_.size(), 2u) << "at once";
  EXPECT_TRUE(reports_[1].direct);
  EXPECT_EQ(reports_[1].epoch, Epoch{2});
  EXPECT_EQ(accepted_.size(), 1u);
}

TEST_F(DataLinksTest, NeighboursAreToldWithTheRoundTripOfADirectLink) {
  EXPECT_TRUE(links_.neighbours().empty());
  set_plan(1);
  ASSERT_EQ(links_.neighbours().size(), 1u);
  EXPECT_EQ(links_.neighbours()[0], (NeighbourTelemetry{peer_.id(), std::nullopt})) << "it is being dialled";
  ASSERT_TRUE(run_until([&] { return links_.neighbours()[0].rtt_us.has_value(); }));
  EXPECT_LT(*links_.neighbours()[0].rtt_us, 5'000'000u);
  accepted_[0]->close();
  ASSERT_TRUE(run_until([&] { return broken_.size() == 1; }));
  EXPECT_EQ(links_.neighbours()[0], (NeighbourTelemetry{peer_.id(), std::nullopt})) << "relayed from now on";
  links_.close_all();
  EXPECT_TRUE(links_.neighbours().empty());
}

TEST_F(DataLinksTest, StepsOfAnOlderPlanAreNotSentUnderANewerOne) {
  answers_ = false;
  set_plan(1);
  send_step(1);
  ASSERT_TRUE(run_until([&] { return accepted_.size() == 1; }));
  answers_ = true;
  set_plan(2);
  send_step(2);
  ASSERT_TRUE(run_until([&] { return arrived_.size() == 1; }));
  EXPECT_EQ(steps_arrived(), std::vector<std::uint64_t>{2});
}

// A TLS link is not yet a way: the peer may not have its plan.
TEST_F(DataLinksTest, ALinkThatIsNotAnsweredIsNotDirectUnderTheNextPlanEither) {
  answers_ = false;
  set_plan(1);
  ASSERT_TRUE(run_until([&] { return accepted_.size() == 1; }));
  set_plan(2);
  EXPECT_TRUE(reports_.empty()) << "reported as direct before the peer took it";
  answers_ = true;
  for (const auto& link : accepted_) link->send(*hello_);
  ASSERT_TRUE(run_until([&] { return !reports_.empty(); }));
  EXPECT_TRUE(reports_[0].direct);
  EXPECT_EQ(reports_[0].epoch, Epoch{2});
}

TEST_F(DataLinksTest, APeerThatDoesNotKnowUsYetIsDialledAgain) {
  peer_.knows_callers = false;
  set_plan(1);
  send_step(1);
  io_.run_for(std::chrono::milliseconds(300));  // some attempts
  EXPECT_TRUE(reports_.empty());
  peer_.knows_callers = true;
  ASSERT_TRUE(run_until([&] { return arrived_.size() == 1; }));
  EXPECT_TRUE(reports_.at(0).direct);
}

TEST_F(DataLinksTest, WithoutAnAddressTheCoordinatorRelays) {
  links_.set_plan(plan(1, {}), transport_.identity().id());
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_FALSE(reports_[0].direct);
  EXPECT_THAT(reports_[0].reason, HasSubstr("no address"));
  send_step(7);
  ASSERT_EQ(relayed_.size(), 1u);
  auto frame = wire::decode_frame(relayed_[0]);
  ASSERT_TRUE(frame.ok()) << frame.error().message;
  EXPECT_EQ(std::get<wire::Step>(frame->message).step, StepId{7});
  EXPECT_EQ(frame->raw, (Bytes{1, 2, 3, 7}));
}

TEST_F(DataLinksTest, APeerThatCannotBeReachedIsRelayedToWithWhatWaited) {
  peer_.knows_callers = false;
  set_plan(1);
  send_step(1);
  send_step(2);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(run_until([&] { return !reports_.empty(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, kRelayAfter);
  EXPECT_FALSE(reports_[0].direct);
  EXPECT_NE(reports_[0].reason, "");
  EXPECT_EQ(relayed_.size(), 2u);
  EXPECT_TRUE(broken_.empty()) << "nothing was lost";
}

// As a phone whose network lets packets vanish: nobody refuses, nobody answers.
TEST_F(DataLinksTest, APeerThatKeepsSilentIsRelayedToAsWell) {
  answers_ = false;
  set_plan(1);
  send_step(1);
  ASSERT_TRUE(run_until([&] { return !reports_.empty(); }));
  EXPECT_FALSE(reports_[0].direct);
  EXPECT_THAT(reports_[0].reason, HasSubstr("does not answer"));
  EXPECT_EQ(relayed_steps(), std::vector<std::uint64_t>{1});
}

TEST_F(DataLinksTest, ADirectLinkTakesOverFromTheRelayOnceThatIsEmpty) {
  relay_until_reachable();
  const std::uint64_t probe = take_over_probe();
  ASSERT_NE(probe, 0u);
  send_step(2);
  EXPECT_FALSE(links_.on_relay_probed(peer_.id(), {7})) << "somebody else's probe";
  EXPECT_TRUE(links_.on_relay_probed(peer_.id(), {probe + 1})) << "an older one's answer";
  EXPECT_EQ(links_.is_direct(peer_.id()), false);
  EXPECT_TRUE(links_.on_relay_probed(peer_.id(), {probe}));
  send_step(3);
  ASSERT_TRUE(run_until([&] { return arrived_.size() == 2; }));
  EXPECT_EQ(relayed_steps(), std::vector<std::uint64_t>{1});
  EXPECT_EQ(steps_arrived(), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_TRUE(reports_.back().direct);
  EXPECT_EQ(reports_.back().epoch, Epoch{1});
  EXPECT_TRUE(broken_.empty());
}

TEST_F(DataLinksTest, TheRelayGoesOnWhereItDoesNotTellThatItIsEmpty) {
  relay_until_reachable();
  const std::uint64_t probe = take_over_probe();
  send_step(2);
  send_step(3);
  ASSERT_TRUE(run_until([&] { return relayed_steps().size() == 3; }));
  EXPECT_EQ(relayed_steps(), (std::vector<std::uint64_t>{1, 2, 3}));
  links_.on_relay_probed(peer_.id(), {probe});  // too late
  EXPECT_EQ(links_.is_direct(peer_.id()), false);
  EXPECT_TRUE(broken_.empty()) << "nothing was lost";
  const std::uint64_t next = take_over_probe();
  EXPECT_NE(next, probe);
  links_.on_relay_probed(peer_.id(), {next});
  EXPECT_EQ(links_.is_direct(peer_.id()), true);
}

TEST_F(DataLinksTest, ALinkThatBreaksWhileItTakesOverLosesNothing) {
  relay_until_reachable();
  ASSERT_NE(take_over_probe(), 0u);
  send_step(2);
  peer_.knows_callers = false;
  accepted_.back()->close();
  ASSERT_TRUE(run_until([&] { return relayed_steps().size() == 2; }));
  EXPECT_EQ(relayed_steps(), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(broken_.empty());
}

TEST_F(DataLinksTest, ALinkThatBreaksIsToldAndTheRestRelayed) {
  set_plan(1);
  ASSERT_TRUE(run_until([&] { return reports_.size() == 1; }));
  peer_.knows_callers = false;
  accepted_[0]->close();
  ASSERT_TRUE(run_until([&] { return !broken_.empty(); }));
  EXPECT_EQ(broken_, std::vector{Epoch{1}});
  EXPECT_FALSE(reports_.back().direct);
  send_step(5);
  EXPECT_EQ(relayed_.size(), 1u);
  // Nobody waits for it under the next plan either; it is dialled meanwhile.
  set_plan(2);
  EXPECT_EQ(reports_.back().epoch, Epoch{2});
  EXPECT_FALSE(reports_.back().direct);
  send_step(6);
  EXPECT_EQ(relayed_steps(), (std::vector<std::uint64_t>{5, 6}));
  peer_.knows_callers = true;
  ASSERT_NE(take_over_probe(), 0u);
}

TEST_F(DataLinksTest, ALinkThatBreaksAndCarriesNothingIsDialledAgainUnderItsPlan) {
  set_plan(1);
  ASSERT_TRUE(run_until([&] { return reports_.size() == 1; }));
  accepted_[0]->close();
  ASSERT_TRUE(run_until([&] { return reports_.size() == 3; }));
  EXPECT_FALSE(reports_[1].direct);
  EXPECT_TRUE(reports_[2].direct);
  EXPECT_TRUE(relayed_.empty());
}

// As one that carries handshakes and no large frames: each break costs the answers a pause.
TEST_F(DataLinksTest, ALinkThatBreaksAgainAndAgainIsTakenEverMoreSeldom) {
  set_plan(1);
  ASSERT_TRUE(run_until([&] { return !reports_.empty(); }));
  std::vector<std::chrono::steady_clock::duration> took;
  for (std::uint64_t breaks = 1; breaks <= 2; ++breaks) {
    accepted_.back()->close();
    ASSERT_TRUE(run_until([&] { return broken_.size() == breaks; }));
    const auto begun = std::chrono::steady_clock::now();
    set_plan(breaks + 1);
    ASSERT_TRUE(run_until([&] { return reports_.back().direct; }));
    took.push_back(std::chrono::steady_clock::now() - begun);
  }
  EXPECT_GE(took[0], std::chrono::milliseconds(50));
  EXPECT_GE(took[1], std::chrono::milliseconds(200));
}

TEST_F(DataLinksTest, APlanWithoutThePeerLetsItsLinkGo) {
  set_plan(1);
  ASSERT_TRUE(run_until([&] { return reports_.size() == 1; }));
  links_.set_plan({Epoch{2}, {}}, transport_.identity().id());
  ASSERT_TRUE(run_until([&] { return !accepted_[0]->is_open(); }));
  send_step(1);  // nowhere to go: nothing happens
  EXPECT_TRUE(relayed_.empty());
  EXPECT_TRUE(broken_.empty());
}

}  // namespace
}  // namespace shoal::node
