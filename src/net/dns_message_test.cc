// Goal: DNS messages of other responders are read, ours come back unchanged, and no bytes harm the parser.
#include "net/dns_message.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::net {
namespace {

DnsMessage sample() {
  const DnsName service = {"_shoal", "_tcp", "local"}, name = {"Anna's desk. Upstairs", "_shoal", "_tcp", "local"},
                host = {"desk", "local"};
  return {.id = 7,
          .response = true,
          .questions = {{service, kDnsPtr, true}, {name, kDnsAny}},
          .answers = {{.name = service, .type = kDnsPtr, .ttl_s = 4500, .target = name},
                      {.name = name, .type = kDnsSrv, .cache_flush = true, .ttl_s = 120, .target = host, .port = 7420},
                      {.name = name, .type = kDnsTxt, .ttl_s = 4500, .texts = {"v=1", "id=00"}}},
          .additionals = {{.name = host, .type = kDnsA, .ttl_s = 120, .address = {192, 168, 1, 7}},
                          {.name = host, .type = kDnsAaaa, .ttl_s = 120, .address = Bytes(16, 0x20)}}};
}

TEST(DnsMessage, ComesBackUnchanged) {
  const auto parsed = parse_dns(encode_dns(sample()));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, sample());
}

// RFC 1035 §4.1.4: names share their tails.
TEST(DnsMessage, CompressedNamesAreRead) {
  const Bytes bytes = {0, 0,   0x84, 0,   0,   0,    0,   1, 0,   0,   0,   0,  // one answer
                       6, '_', 's',  'h', 'o', 'a',  'l', 4, '_', 't', 'c', 'p',
                       5, 'L', 'o',  'c', 'a', 'l',  0,               // at 12
                       0, 12,  0x80, 1,   0,   0,    0,   9, 0,   7,  // PTR
                       4, 'd', 'e',  's', 'k', 0xc0, 12};
  const auto parsed = parse_dns(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  ASSERT_EQ(parsed->answers.size(), 1u);
  EXPECT_EQ(parsed->answers[0].target, (DnsName{"desk", "_shoal", "_tcp", "Local"}));
  EXPECT_TRUE(parsed->answers[0].cache_flush);
  EXPECT_TRUE(same_name(parsed->answers[0].name, {"_SHOAL", "_tcp", "local"}));
  EXPECT_EQ(name_text(parsed->answers[0].target), "desk._shoal._tcp.local");
}

TEST(DnsMessage, PointersThatDoNotPointBackAreRefused) {
  for (const std::uint8_t target : {12, 13, 14, 200}) {
    const Bytes bytes = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, target, 0, 12, 0, 1};
    EXPECT_FALSE(parse_dns(bytes).ok()) << int{target};
  }
  // Two names that point at each other.
  const Bytes loop = {0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 'a', 0xc0, 20, 0, 12, 0, 1, 1, 'b', 0xc0, 12, 0, 12, 0, 1};
  EXPECT_FALSE(parse_dns(loop).ok());
}

TEST(DnsMessage, CountsAndSizesThatLieAreRefused) {
  Bytes bytes = encode_dns(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(parse_dns(ByteSpan(bytes).first(size)).ok()) << size;
  bytes[6] = 0xff;
  EXPECT_FALSE(parse_dns(bytes).ok());
  EXPECT_FALSE(parse_dns(Bytes(kDnsMessageBytesMax + 1)).ok());
}

TEST(DnsMessage, MutatedBytesNeverCrashTheParser) {
  SplitMix64 random(8);
  const Bytes good = encode_dns(sample());
  int accepted = 0;
  for (int i = 0; i < 50000; ++i) {
    Bytes bytes = good;
    for (std::uint64_t edits = 1 + random.below(4); edits > 0; --edits)
      bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random());
    if (random.below(4) == 0) bytes.resize(random.below(bytes.size()));
    accepted += parse_dns(bytes).ok();
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace shoal::net
