#include <charconv>

#include <fmt/format.h>

#include "net/transport.h"

namespace shoal::net {
namespace {

constexpr std::size_t kHostBytesMax = 253;  // RFC 1035

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::string Endpoint::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto wrong = [&](std::string_view what) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("address \"{}\": {}; write HOST:PORT or [IPv6]:PORT",
                                                          text.substr(0, kHostBytesMax), what)};
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool v6 = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (v6) host = host.substr(1, host.size() - 2);
  if (host.empty()) return wrong("the host is missing");
  if (host.size() > kHostBytesMax) return wrong("the host is too long");
  for (const char c : host) {
    if (!host_character(c) && !(v6 && (c == ':' || c == '%'))) return wrong("the host has a character no host has");
  }
  Endpoint endpoint{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return wrong("the port is no number from 0 to 65535");
  }
  return endpoint;
}

}  // namespace shoal::net
