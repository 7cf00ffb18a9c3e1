// Goal: no text from a peer can steer a terminal or break a reader of UTF-8.
#include "wire/text.h"

#include <gtest/gtest.h>

namespace shoal::wire {
namespace {

TEST(Text, CleanIsUtf8WithoutControls) {
  for (const char* clean :
       {"", "Pixel 7", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x9f", "\xc2\xa0", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_clean_text(clean)) << clean;
  }
  for (const char* dirty : {"\n", "a\x1b[2J", "\x7f", "\xc2\x85", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                            "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82", "\xc3"}) {
    EXPECT_FALSE(is_clean_text(dirty)) << dirty;
  }
  EXPECT_FALSE(is_clean_text(std::string_view("\0", 1)));
}

TEST(Text, CleaningIsCleanAndCutAtCharacters) {
  EXPECT_EQ(clean_text("a\nb", 10), "a?b");
  EXPECT_EQ(clean_text("\xe2\x82\xac\xe2\x82\xac", 5), "\xe2\x82\xac");
  EXPECT_EQ(clean_text("\xc2\x85", 10), "??");
  EXPECT_EQ(clean_text("\xe2\x82", 10), "??");
  EXPECT_EQ(clean_text("abc", 0), "");
  std::string all;
  for (int i = 0; i < 256; ++i) all += {static_cast<char>(i), 'x', static_cast<char>(255 - i)};
  EXPECT_TRUE(is_clean_text(clean_text(all, 10000)));
}

}  // namespace
}  // namespace shoal::wire
