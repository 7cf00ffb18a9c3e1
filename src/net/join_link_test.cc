// Goal: the link that a coordinator prints is the link a device understands, and a damaged one says where it is
// damaged.
#include "net/join_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::net {
namespace {

using ::testing::HasSubstr;

JoinLink sample() {
  return {{{"192.168.1.7", 7420}, {"::1", 7421}, {"desk.local", 1}},
          {Sha256::of(as_bytes("key"))},
          secure_random(kJoinSecretBytes)};
}

TEST(JoinLink, ComesBackUnchanged) {
  for (std::size_t endpoints = 0; endpoints <= 3; ++endpoints) {
    JoinLink link = sample();
    link.endpoints.resize(endpoints);
    const auto parsed = JoinLink::parse(link.text());
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed->endpoints, link.endpoints);
    EXPECT_EQ(parsed->coordinator, link.coordinator);
    EXPECT_EQ(parsed->secret, link.secret);
  }
}

TEST(JoinLink, DamageIsNamed) {
  const std::string good = sample().text();
  const auto query = good.find("c=");
  const std::string base = good.substr(0, query);
  const std::string c = good.substr(query, 45), s = good.substr(query + 46);
  ASSERT_TRUE(JoinLink::parse(base + s + "&" + c).ok());
  const std::pair<std::string, const char*> damaged[] = {
      {"", "does not begin with shoal://"},
      {"http://" + good, "does not begin with shoal://"},
      {"shoal://host:1", "/join?"},
      {"shoal://host:1/jo", "/join?"},
      {"shoal://host/join?" + c + "&" + s, "port is missing"},
      {"shoal://host:0/join?" + c + "&" + s, "has no port"},
      {"shoal://host:99999/join?" + c + "&" + s, "65535"},
      {"shoal://a:1,/join?" + c + "&" + s, "after the last comma"},
      {"shoal://a:1,,b:1/join?" + c + "&" + s, "port is missing"},
      {base + c, "secret (s=) is missing"},
      {base + s, "fingerprint (c=) is missing"},
      {base + c + "&" + s.substr(0, s.size() - 3), "secret (s=) is cut off"},
      {base + c.substr(0, 40) + "&" + s, "fingerprint (c=) is cut off"},
      {base + c + "&" + s.substr(0, 10) + "!" + s.substr(11), "secret (s=) has characters"},
      {base + c + "&" + c + "&" + s, "twice"},
      {good + "&x=1", "neither"},
      {good + std::string(2000, 'x'), "too long"},
  };
  for (const auto& [text, reason] : damaged) {
    const auto parsed = JoinLink::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(parsed.error().message, HasSubstr(reason)) << text;
    EXPECT_THAT(parsed.error().message, HasSubstr("shoal token create"));
  }
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(JoinLink::parse(good.substr(0, length)).ok());
}

// The finder patterns are where the standard wants them, dark on light, within the quiet zone.
TEST(QrCode, HasItsMarginAndFinders) {
  const auto code = qr_code(sample().text());
  ASSERT_TRUE(code.ok()) << code.error().message;
  std::vector<std::vector<bool>> light;
  for (std::size_t at = 0; at < code->size();) {
    std::vector<bool> upper, lower;
    for (; (*code)[at] != '\n';) {
      const bool blank = (*code)[at] == ' ';
      const std::string_view block = blank ? " " : std::string_view(*code).substr(at, 3);
      upper.push_back(block == "\xe2\x96\x88" || block == "\xe2\x96\x80");
      lower.push_back(block == "\xe2\x96\x88" || block == "\xe2\x96\x84");
      at += block.size();
    }
    ++at;
    light.push_back(upper);
    light.push_back(lower);
  }
  const std::size_t width = light[0].size();
  ASSERT_EQ((width - 8 - 17) % 4, 0u);  // versions have 17 + 4 n modules
  constexpr const char* kFinder[] = {"#######", "#.....#", "#.###.#", "#.###.#", "#.###.#", "#.....#", "#######"};
  for (std::size_t y = 0; y < 7; ++y) {
    for (std::size_t x = 0; x < 7; ++x) {
      const bool dark = kFinder[y][x] == '#';
      EXPECT_EQ(light[4 + y][4 + x], !dark);
      EXPECT_EQ(light[4 + y][width - 11 + x], !dark);
      EXPECT_EQ(light[width - 11 + y][4 + x], !dark);
    }
  }
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t edge = 0; edge < 4; ++edge) {
      EXPECT_TRUE(light[edge][i]);
      EXPECT_TRUE(light[i][edge]);
    }
  }
  EXPECT_FALSE(qr_code("").ok());
  EXPECT_FALSE(qr_code(std::string(5000, 'x')).ok());
}

}  // namespace
}  // namespace shoal::net
