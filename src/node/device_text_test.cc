// Goal: no text of the kernel's is taken for what it is not. How: good and bad ones, files and what is no file.
#include "node/device_text.h"

#include <sys/stat.h>

#include "node/device_test_support.h"

namespace shoal::node {
namespace {

TEST(DeviceText, NumbersAreWholeAndFit) {
  EXPECT_EQ(parse_number("42\n"), 42);
  EXPECT_EQ(parse_number("  -7 \n"), -7);
  EXPECT_EQ(parse_number("9223372036854775807"), INT64_MAX);
  for (const char* bad : {"", " ", "\n", "x", "4x", "4 2", "0x10", "1.5", "--1", "+-1", "9223372036854775808",
                          "99999999999999999999999999", "N/A", "\0"}) {
    EXPECT_FALSE(parse_number(bad)) << bad;
  }
}

TEST(DeviceText, WordsAreBounded) {
  EXPECT_EQ(words_of("  a\tbc \n d", 9), (std::vector<std::string_view>{"a", "bc", "d"}));
  EXPECT_EQ(words_of("a b c", 2), (std::vector<std::string_view>{"a", "b"}));
  EXPECT_TRUE(words_of(" \n", 9).empty());
}

TEST(DeviceText, OnlyFilesAreRead) {
  test::Tree tree;
  tree.file("good", "12\n");
  tree.file("empty", "");
  tree.file("long", std::string(100'000, '1'));
  tree.unreadable("folder");
  ASSERT_EQ(::mkfifo((tree.root() / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_number(tree.root() / "good"), 12);
  EXPECT_EQ(read_text(tree.root() / "empty"), "");
  EXPECT_FALSE(read_number(tree.root() / "empty"));
  EXPECT_EQ(read_text(tree.root() / "long")->size(), kDeviceTextBytesMax);
  EXPECT_FALSE(read_number(tree.root() / "long"));
  EXPECT_FALSE(read_text(tree.root() / "folder"));
  EXPECT_FALSE(read_text(tree.root() / "missing"));
  EXPECT_EQ(read_text(tree.root() / "pipe"), "") << "a pipe must not hold us up";
}

TEST(DeviceText, EntriesComeInTheOrderOfTheirNumbers) {
  test::Tree tree;
  for (const char* name : {"zone10/x", "zone2/x", "other/x", "zone1/x"}) tree.file(name, "");
  std::vector<std::string> names;
  for (const auto& entry : entries_of(tree.root(), "zone")) names.push_back(entry.filename());
  EXPECT_EQ(names, (std::vector<std::string>{"zone1", "zone2", "zone10"}));
  EXPECT_TRUE(entries_of(tree.root() / "missing", "").empty());
}

}  // namespace
}  // namespace shoal::node
