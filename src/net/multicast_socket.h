// The socket of multicast DNS: UDP port 5353, shared with other responders of this machine, group 224.0.0.251 joined on
// every interface that is up and has an IPv4 address. IPv6 addresses travel in records; IPv6 multicast is not spoken.
// Internal to net; the io_context's thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/ip/udp.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "net/dns_message.h"

namespace shoal::net {

inline constexpr std::uint16_t kMdnsPort = 5353;

struct NetworkInterface {
  unsigned index = 0;
  bool loopback = false;
  Bytes address;                     // IPv4, 4 bytes, network order
  std::vector<Bytes> all_addresses;  // IPv4 and IPv6 but link-local
};

class MulticastSocket : public std::enable_shared_from_this<MulticastSocket> {
 public:
  // Who sent a message, and through which interface it came.
  struct Origin {
    unsigned interface_index = 0;
    boost::asio::ip::udp::endpoint sender;
  };
  using OnMessage = std::function<void(const DnsMessage&, const Origin&)>;

  // kUnavailable: no interface takes part in multicast.
  static Result<std::shared_ptr<MulticastSocket>> open(boost::asio::io_context& io);
  explicit MulticastSocket(boost::asio::io_context& io) : socket_(io) {}

  // Until the socket is destroyed or stopped; messages that do not parse are dropped.
  void start(OnMessage on_message);
  void stop();

  // Interfaces come and go: joins the group on new ones. True when there were any.
  bool refresh();
  const std::vector<NetworkInterface>& interfaces() const { return interfaces_; }
  const NetworkInterface* find(unsigned index) const;

  // To the group, or to `unicast_to`, through that interface. A message that cannot be sent is lost, as any may be.
  void send(const DnsMessage& message, const NetworkInterface& through,
            const boost::asio::ip::udp::endpoint* unicast_to = nullptr);

 private:
  Status bind();
  void wait();
  void receive();

  boost::asio::ip::udp::socket socket_;
  std::vector<NetworkInterface> interfaces_;
  OnMessage on_message_;
};

}  // namespace shoal::net
