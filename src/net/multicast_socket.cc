#include "net/multicast_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace shoal::net {
namespace {

using boost::asio::ip::udp;

constexpr std::size_t kInterfacesMax = 32;
constexpr std::size_t kInterfaceAddressesMax = 8;  // so that a reply stays well within a packet
constexpr int kTurns = 64;                         // messages in a row before others get their turn

in_addr group() {
  return {htonl(0xe00000fb)};
}  // 224.0.0.251

Bytes address_bytes(const sockaddr* address) {
  const auto copy = [](const void* from, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(from);
    return Bytes(bytes, bytes + size);
  };
  if (address->sa_family == AF_INET) return copy(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
  if (address->sa_family != AF_INET6) return {};
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  return IN6_IS_ADDR_LINKLOCAL(&v6) ? Bytes() : copy(&v6, 16);
}

std::vector<NetworkInterface> list_interfaces() {
  std::vector<NetworkInterface> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    // The loopback takes part although it does not say so: programs of one machine find each other without a network.
    const bool loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (!loopback && (entry->ifa_flags & IFF_MULTICAST) == 0) continue;
    const unsigned index = if_nametoindex(entry->ifa_name);
    const Bytes address = address_bytes(entry->ifa_addr);
    if (index == 0 || address.empty()) continue;
    auto at = std::find_if(found.begin(), found.end(), [&](const auto& one) { return one.index == index; });
    if (at == found.end()) {
      if (found.size() == kInterfacesMax) continue;
      at = found.insert(at, NetworkInterface{index, loopback, {}, {}});
    }
    if (address.size() == 4 && at->address.empty()) at->address = address;
    if (at->all_addresses.size() < kInterfaceAddressesMax) at->all_addresses.push_back(address);
  }
  freeifaddrs(list);
  std::erase_if(found, [](const NetworkInterface& one) { return one.address.empty(); });
  return found;
}

}  // namespace

Result<std::shared_ptr<MulticastSocket>> MulticastSocket::open(boost::asio::io_context& io) {
  auto socket = std::make_shared<MulticastSocket>(io);
  SHOAL_RETURN_IF_ERROR(socket->bind());
  socket->refresh();
  if (socket->interfaces_.empty()) {
    return Error{ErrorCode::kUnavailable, "no multicast DNS here: no network interface takes part in multicast"};
  }
  return socket;
}

Status MulticastSocket::bind() {
  boost::system::error_code error;
  socket_.open(udp::v4(), error);
  const auto set = [&](int level, int option, int value) {
    if (!error && setsockopt(socket_.native_handle(), level, option, &value, sizeof value) != 0) {
      error.assign(errno, boost::system::system_category());
    }
  };
  set(SOL_SOCKET, SO_REUSEADDR, 1);
  set(SOL_SOCKET, SO_REUSEPORT, 1);
  set(IPPROTO_IP, IP_PKTINFO, 1);
  set(IPPROTO_IP, IP_MULTICAST_TTL, 255);
  set(IPPROTO_IP, IP_MULTICAST_LOOP, 1);
  set(IPPROTO_IP, IP_MULTICAST_ALL, 0);
  if (!error) socket_.bind(udp::endpoint(udp::v4(), kMdnsPort), error);
  if (!error) return {};
  return Error{ErrorCode::kUnavailable,
               fmt::format("no multicast DNS here: UDP port {}: {}", kMdnsPort, error.message())};
}

bool MulticastSocket::refresh() {
  bool news = false;
  std::vector<NetworkInterface> joined;
  for (NetworkInterface& one : list_interfaces()) {
    ip_mreqn request{group(), {}, static_cast<int>(one.index)};
    const int result = setsockopt(socket_.native_handle(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
    if (result != 0 && errno != EADDRINUSE) continue;  // EADDRINUSE: joined before
    const NetworkInterface* before = find(one.index);
    news = news || before == nullptr || before->all_addresses != one.all_addresses;
    joined.push_back(std::move(one));
  }
  interfaces_ = std::move(joined);
  return news;
}

const NetworkInterface* MulticastSocket::find(unsigned index) const {
  const auto at =
      std::find_if(interfaces_.begin(), interfaces_.end(), [&](const auto& one) { return one.index == index; });
  return at == interfaces_.end() ? nullptr : &*at;
}

void MulticastSocket::start(OnMessage on_message) {
  on_message_ = std::move(on_message);
  wait();
}

void MulticastSocket::stop() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void MulticastSocket::wait() {
  socket_.async_wait(udp::socket::wait_read, [weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!self || error) return;
    self->receive();
    if (self->socket_.is_open()) self->wait();
  });
}

void MulticastSocket::receive() {
  std::array<std::uint8_t, kDnsMessageBytesMax> buffer;
  for (int turn = 0; turn < kTurns && socket_.is_open(); ++turn) {
    sockaddr_in sender{};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))];
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof sender;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(socket_.native_handle(), &header, MSG_DONTWAIT);
    if (size < 0) return;
    Origin origin;
    origin.sender = {boost::asio::ip::address_v4(ntohl(sender.sin_addr.s_addr)), ntohs(sender.sin_port)};
    for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
      if (one->cmsg_level != IPPROTO_IP || one->cmsg_type != IP_PKTINFO) continue;
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(one), sizeof info);
      origin.interface_index = static_cast<unsigned>(info.ipi_ifindex);
    }
    const auto message = parse_dns(ByteSpan(buffer).first(static_cast<std::size_t>(size)));
    if (message.ok()) on_message_(*message, origin);
  }
}

void MulticastSocket::send(const DnsMessage& message, const NetworkInterface& through,
                           const udp::endpoint* unicast_to) {
  Bytes bytes = encode_dns(message);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(unicast_to ? unicast_to->port() : kMdnsPort);
  to.sin_addr = group();
  if (unicast_to) to.sin_addr.s_addr = htonl(unicast_to->address().to_v4().to_uint());
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in_pktinfo))] = {};
  iovec part{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_name = &to;
  header.msg_namelen = sizeof to;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* one = CMSG_FIRSTHDR(&header);
  one->cmsg_level = IPPROTO_IP;
  one->cmsg_type = IP_PKTINFO;
  one->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo info{};
  info.ipi_ifindex = static_cast<int>(through.index);
  std::memcpy(&info.ipi_spec_dst, through.address.data(), 4);
  std::memcpy(CMSG_DATA(one), &info, sizeof info);
  static_cast<void>(sendmsg(socket_.native_handle(), &header, MSG_DONTWAIT | MSG_NOSIGNAL));
}

}  // namespace shoal::net
