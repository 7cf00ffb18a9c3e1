// DNS messages as multicast DNS uses them (RFC 1035 §4, RFC 6762 §18): parsed with every length checked, written
// without name compression. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace shoal::net {

inline constexpr std::size_t kDnsMessageBytesMax = 9000;  // RFC 6762 §17
inline constexpr std::size_t kDnsLabelBytesMax = 63;
inline constexpr std::size_t kDnsNameBytesMax = 255;
inline constexpr std::size_t kDnsRecordsMax = 256;  // questions and records of one message

// Labels, the topmost last, without the root. A label may hold any bytes, dots too ("Anna's phone", "_shoal", "_tcp",
// "local").
using DnsName = std::vector<std::string>;
bool same_name(const DnsName& a, const DnsName& b);  // ASCII letters match in either case
std::string name_text(const DnsName& name);          // for keys and logs: lower case, dots between labels

// The types we read and write; records of other types are kept with their type and no data.
inline constexpr std::uint16_t kDnsA = 1, kDnsPtr = 12, kDnsTxt = 16, kDnsAaaa = 28, kDnsSrv = 33, kDnsAny = 255;

struct DnsQuestion {
  DnsName name;
  std::uint16_t type = kDnsAny;
  bool unicast_response = false;  // the QU bit, RFC 6762 §5.4
  bool operator==(const DnsQuestion&) const = default;
};

struct DnsRecord {
  DnsName name;
  std::uint16_t type = 0;
  bool cache_flush = false;  // RFC 6762 §10.2
  std::uint32_t ttl_s = 0;
  DnsName target;                  // PTR, SRV
  std::uint16_t port = 0;          // SRV; priority and weight are 0
  std::vector<std::string> texts;  // TXT
  Bytes address;                   // A: 4 bytes, AAAA: 16
  bool operator==(const DnsRecord&) const = default;
};

struct DnsMessage {
  std::uint16_t id = 0;
  bool response = false;
  std::vector<DnsQuestion> questions;
  std::vector<DnsRecord> answers;      // in a query: what the asker knows already
  std::vector<DnsRecord> additionals;  // also takes the authority section when parsed
  bool operator==(const DnsMessage&) const = default;
};

// kCorrupt: says what is wrong. Compression pointers may only point backwards, so they cannot loop.
Result<DnsMessage> parse_dns(ByteSpan bytes);
// Asserts that labels and counts keep the limits.
Bytes encode_dns(const DnsMessage& message);

}  // namespace shoal::net
