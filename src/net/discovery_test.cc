// Goal: coordinators on a network are found by those who ask, under names of their own, and gone when they leave.
// How: real multicast on the loopback of a network namespace of the test's own, so that no other responder answers.
#include "net/discovery.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/random.h"
#include "net/dns_message.h"
#include "net/multicast_socket.h"

namespace shoal::net {
namespace {

using boost::asio::ip::udp;
using std::chrono::milliseconds;

class DiscoveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
        << "this test needs a network namespace of its own (root, or unprivileged user namespaces): "
        << std::strerror(errno);
    const int any = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(ioctl(any, SIOCSIFFLAGS, &request), 0) << std::strerror(errno);
    ::close(any);
  }

  std::vector<Announcement> find(Duration window = milliseconds(400)) {
    std::optional<Result<std::vector<Announcement>>> found;
    discover(io_, window, [&](auto result) { found = std::move(result); });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!found && std::chrono::steady_clock::now() < end) run_for(milliseconds(5));
    EXPECT_TRUE(found && found->ok());
    return found && found->ok() ? **found : std::vector<Announcement>();
  }
  void run_for(Duration time) {
    io_.restart();
    io_.run_for(time);
  }
  // Runs until the network shows `count` coordinators.
  std::vector<Announcement> find_all(std::size_t count) {
    std::vector<Announcement> found;
    for (int i = 0; i < 20 && found.size() != count; ++i) found = find();
    return found;
  }
  std::unique_ptr<Announcer> announce(std::string name, const NodeId& id, std::uint16_t port) {
    auto announcer = Announcer::start(io_, std::move(name), id, port);
    EXPECT_TRUE(announcer.ok()) << announcer.error().message;
    return announcer.ok() ? std::move(*announcer) : nullptr;
  }
  static NodeId id(std::string_view text) { return {Sha256::of(as_bytes(text))}; }

  boost::asio::io_context io_;
};

TEST_F(DiscoveryTest, FindsWhoIsThereAndNotWhoHasLeft) {
  EXPECT_TRUE(find(milliseconds(100)).empty());
  auto desk = announce("Anna's desk. Upstairs", id("desk"), 7420);
  const auto found = find_all(1);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].instance, "Anna's desk. Upstairs");
  EXPECT_EQ(found[0].id, id("desk"));
  ASSERT_FALSE(found[0].endpoints.empty());
  EXPECT_EQ(found[0].endpoints[0], (Endpoint{"127.0.0.1", 7420}));
  desk.reset();
  EXPECT_TRUE(find(milliseconds(300)).empty());
}

TEST_F(DiscoveryTest, TwoOfOneNameAreBothFound) {
  const auto first = announce("desk", id("a"), 1);
  ASSERT_EQ(find_all(1).size(), 1u);
  const auto second = announce("desk", id("b"), 2);
  const auto found = find_all(2);
  ASSERT_EQ(found.size(), 2u);
  std::vector<std::string> names = {found[0].instance, found[1].instance};
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"desk", "desk (2)"}));
}

// A resolver that knows nothing of multicast asks from a port of its own and wants a plain answer (RFC 6762 §6.7).
TEST_F(DiscoveryTest, PlainResolversAreAnsweredDirectly) {
  const auto desk = announce("desk", id("desk"), 7420);
  ASSERT_EQ(find_all(1).size(), 1u);
  udp::socket socket(io_, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  const auto ask = [&](DnsQuestion question) -> Result<DnsMessage> {
    const Bytes query = encode_dns({.id = 4711, .questions = {std::move(question)}});
    // The group address, out through the loopback.
    socket.set_option(boost::asio::ip::multicast::outbound_interface(boost::asio::ip::address_v4::loopback()));
    socket.send_to(boost::asio::buffer(query),
                   udp::endpoint(boost::asio::ip::make_address_v4("224.0.0.251"), kMdnsPort));
    Bytes reply(kDnsMessageBytesMax);
    socket.non_blocking(true);
    for (int i = 0; i < 1000; ++i) {
      boost::system::error_code error;
      const std::size_t size = socket.receive(boost::asio::buffer(reply), 0, error);
      if (!error) return parse_dns(ByteSpan(reply).first(size));
      run_for(milliseconds(5));
    }
    return Error{ErrorCode::kDeadlineExceeded, "no reply"};
  };
  const auto services = ask({{"_services", "_dns-sd", "_udp", "local"}, kDnsPtr});
  ASSERT_TRUE(services.ok()) << services.error().message;
  EXPECT_EQ(services->id, 4711);
  ASSERT_EQ(services->answers.size(), 1u);
  EXPECT_EQ(services->answers[0].target, (DnsName{"_shoal", "_tcp", "local"}));
  EXPECT_LE(services->answers[0].ttl_s, 10u);
  const auto server = ask({{"DESK", "_shoal", "_tcp", "local"}, kDnsSrv});
  ASSERT_TRUE(server.ok()) << server.error().message;
  ASSERT_EQ(server->answers.size(), 1u);
  EXPECT_EQ(server->answers[0].port, 7420);
  const auto address = ask({server->answers[0].target, kDnsA});
  ASSERT_TRUE(address.ok()) << address.error().message;
  EXPECT_EQ(address->answers.at(0).address, (Bytes{127, 0, 0, 1}));
}

TEST_F(DiscoveryTest, GarbageOnThePortIsIgnored) {
  const auto desk = announce("desk", id("desk"), 7420);
  udp::socket socket(io_, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  socket.set_option(boost::asio::ip::multicast::outbound_interface(boost::asio::ip::address_v4::loopback()));
  SplitMix64 random(9);
  for (int i = 0; i < 200; ++i) {
    Bytes garbage(random.below(600));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random() & random());
    socket.send_to(boost::asio::buffer(garbage),
                   udp::endpoint(boost::asio::ip::make_address_v4("224.0.0.251"), kMdnsPort));
  }
  EXPECT_EQ(find_all(1).size(), 1u);
}

}  // namespace
}  // namespace shoal::net
