// Goal: addresses people write are understood or refused with a reason; ours are listed.
#include <gtest/gtest.h>

#include "net/transport.h"

namespace shoal::net {
namespace {

TEST(Endpoint, IsReadAsItIsWritten) {
  for (const char* text : {"127.0.0.1:7420", "[::1]:7420", "[fe80::1%wlan0]:1", "phone-1.local:65535", "a_b:0"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.error().message;
    EXPECT_EQ(endpoint->text(), text);
  }
  for (const char* text : {"", ":", "host", "host:", ":1", "host:65536", "host:-1", "host:1x", "ho st:1", "::1:7420",
                           "[]:1", "[::1]", "a/b:1", "host:+1"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_FALSE(endpoint.ok()) << text;
    EXPECT_EQ(endpoint.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(Endpoint::parse(std::string(300, 'a') + ":1").ok());
}

TEST(LocalAddresses, AreUsableAndFew) {
  const auto addresses = local_addresses();
  ASSERT_FALSE(addresses.empty());
  EXPECT_LE(addresses.size(), wire::kAddressesMax);
  for (const auto& address : addresses) EXPECT_LE(address.size(), wire::kAddressBytesMax);
}

}  // namespace
}  // namespace shoal::net
