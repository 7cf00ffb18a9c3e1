#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>

#include "net/transport.h"

namespace shoal::net {
namespace {

struct Candidate {
  int rank;  // private IPv4, other IPv4, IPv6, loopback
  std::string text;
};

bool is_private(std::uint32_t address) {  // RFC 1918
  return (address >> 24) == 10 || (address >> 20) == 0xac1 || (address >> 16) == 0xc0a8;
}

std::optional<Candidate> candidate(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN];
  if (address->sa_family == AF_INET) {
    const in_addr& v4 = reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    const std::uint32_t number = ntohl(v4.s_addr);
    inet_ntop(AF_INET, &v4, text, sizeof text);
    return Candidate{(number >> 24) == 127 ? 3 : is_private(number) ? 0 : 1, text};
  }
  if (address->sa_family == AF_INET6) {
    const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    // Link-local addresses mean nothing without this machine's interface name.
    if (IN6_IS_ADDR_LINKLOCAL(&v6) || IN6_IS_ADDR_LOOPBACK(&v6)) return std::nullopt;
    inet_ntop(AF_INET6, &v6, text, sizeof text);
    return Candidate{2, text};
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> local_addresses() {
  std::vector<Candidate> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {"127.0.0.1"};
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (auto one = candidate(entry->ifa_addr)) found.push_back(std::move(*one));
  }
  freeifaddrs(list);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  std::vector<std::string> texts;
  for (Candidate& one : found) {
    if (texts.size() < wire::kAddressesMax && std::find(texts.begin(), texts.end(), one.text) == texts.end()) {
      texts.push_back(std::move(one.text));
    }
  }
  return texts;
}

}  // namespace shoal::net
