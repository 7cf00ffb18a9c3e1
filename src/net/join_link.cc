#include "net/join_link.h"

#include <qrencode.h>

#include <memory>
#include <optional>

#include <fmt/format.h>

namespace shoal::net {
namespace {

constexpr std::string_view kScheme = "shoal://";
constexpr std::string_view kPath = "/join?";
constexpr std::size_t kLinkBytesMax = 1024;

Error wrong(std::string_view what) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("join link: {}; copy the whole link that `shoal token create` prints on the coordinator", what)};
}

Status parse_endpoints(std::string_view hosts, std::vector<Endpoint>& endpoints) {
  while (!hosts.empty()) {
    const std::size_t comma = hosts.find(',');
    auto endpoint = Endpoint::parse(hosts.substr(0, comma));
    if (!endpoint.ok()) return wrong(endpoint.error().message);
    if (endpoint->port == 0) return wrong(fmt::format("\"{}\" has no port", endpoint->text()));
    if (endpoints.size() == wire::kAddressesMax) return wrong("too many addresses");
    endpoints.push_back(std::move(*endpoint));
    if (comma == std::string_view::npos) break;
    hosts.remove_prefix(comma + 1);
    if (hosts.empty()) return wrong("an address is missing after the last comma");
  }
  return {};
}

// The value of one parameter, base64url, exactly `size` bytes long.
Result<Bytes> parse_value(std::string_view value, std::string_view name, std::size_t size) {
  if (value.size() != (size * 8 + 5) / 6) return wrong(fmt::format("the {} is cut off or too long", name));
  auto bytes = from_base64url(value);
  if (!bytes.ok()) return wrong(fmt::format("the {} has characters it cannot have", name));
  return bytes;
}

}  // namespace

std::string JoinLink::text() const {
  std::string hosts;
  for (const Endpoint& endpoint : endpoints) {
    if (!hosts.empty()) hosts += ',';
    hosts += endpoint.text();
  }
  return fmt::format("{}{}{}c={}&s={}", kScheme, hosts, kPath, to_base64url(coordinator.key.bytes),
                     to_base64url(secret));
}

Result<JoinLink> JoinLink::parse(std::string_view text) {
  if (text.size() > kLinkBytesMax) return wrong("too long");
  if (!text.starts_with(kScheme)) return wrong("it does not begin with shoal://");
  text.remove_prefix(kScheme.size());
  const std::size_t path = text.find('/');
  if (path == std::string_view::npos || !text.substr(path).starts_with(kPath)) {
    return wrong("/join? does not follow the addresses");
  }
  JoinLink link;
  SHOAL_RETURN_IF_ERROR(parse_endpoints(text.substr(0, path), link.endpoints));
  text.remove_prefix(path + kPath.size());

  std::optional<Bytes> fingerprint, secret;
  while (!text.empty()) {
    const std::string_view parameter = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), parameter.size() + 1));
    if (parameter.starts_with("c=") && !fingerprint) {
      SHOAL_ASSIGN_OR_RETURN(fingerprint, parse_value(parameter.substr(2), "fingerprint (c=)", sizeof(Digest::bytes)));
    } else if (parameter.starts_with("s=") && !secret) {
      SHOAL_ASSIGN_OR_RETURN(secret, parse_value(parameter.substr(2), "secret (s=)", kJoinSecretBytes));
    } else {
      return wrong("it has a part that is neither the fingerprint (c=) nor the secret (s=), or has one of them twice");
    }
  }
  if (!fingerprint) return wrong("the coordinator's fingerprint (c=) is missing");
  if (!secret) return wrong("the secret (s=) is missing");
  link.coordinator.key = Digest::from_bytes(*fingerprint).value();
  link.secret = std::move(*secret);
  return link;
}

Result<std::string> qr_code(std::string_view text) {
  const std::string terminated(text);
  if (text.empty() || terminated.find('\0') != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument, "no text for a QR code"};
  }
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(
      QRcode_encodeString8bit(terminated.c_str(), 0, QR_ECLEVEL_L), &QRcode_free);
  if (!code) return Error{ErrorCode::kInvalidArgument, fmt::format("{} bytes are too many for a QR code", text.size())};
  constexpr int kQuiet = 4;  // ISO/IEC 18004 asks for a margin of four modules
  const int width = code->width;
  const auto light = [&](int x, int y) {
    x -= kQuiet;
    y -= kQuiet;
    return x < 0 || y < 0 || x >= width || y >= width || (code->data[y * width + x] & 1) == 0;
  };
  // Light modules are drawn, dark ones left: right on a dark terminal. Two rows a line, by upper and lower halves.
  std::string out;
  for (int y = 0; y < width + 2 * kQuiet; y += 2) {
    for (int x = 0; x < width + 2 * kQuiet; ++x) {
      const bool upper = light(x, y), lower = y + 1 < width + 2 * kQuiet && light(x, y + 1);
      out += upper ? (lower ? "\xe2\x96\x88" : "\xe2\x96\x80") : (lower ? "\xe2\x96\x84" : " ");
    }
    out += '\n';
  }
  return out;
}

}  // namespace shoal::net
