// The join link that a person carries from the coordinator to a new device, as text or as a QR code:
//
//   shoal://HOST:PORT[,HOST:PORT...]/join?c=FINGERPRINT&s=SECRET
//
// FINGERPRINT is the coordinator's id and SECRET the join token, both base64url. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "net/transport.h"

namespace shoal::net {

inline constexpr std::size_t kJoinSecretBytes = 16;

struct JoinLink {
  std::vector<Endpoint> endpoints;  // tried in order; may be empty: found by mDNS then
  NodeId coordinator;
  Bytes secret;

  std::string text() const;
  // kInvalidArgument: says which part is wrong and where a link comes from (`shoal token create`).
  static Result<JoinLink> parse(std::string_view text);
};

// The QR code of `text` as lines of UTF-8 half blocks for a terminal, with the quiet zone that scanners need.
Result<std::string> qr_code(std::string_view text);

}  // namespace shoal::net
