// Goal: the small parts that everything leans on hold at their edges.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/stage_spec.h"

namespace shoal {
namespace {

TEST(Bytes, HexAndBase64ComeBackUnchanged) {
  SplitMix64 random(1);
  for (std::size_t size = 0; size < 70; ++size) {
    Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
    EXPECT_EQ(from_base64url(to_base64url(bytes)).value(), bytes);
  }
  EXPECT_EQ(to_base64url(as_bytes("\xfb\xff")), "-_8");
  EXPECT_FALSE(from_base64url("A").ok());
  EXPECT_FALSE(from_base64url("AB=").ok());
  EXPECT_FALSE(from_hex("abc").ok());
  EXPECT_FALSE(from_hex("zz").ok());
}

TEST(Bytes, SizesAsPeopleWriteThem) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("1536").value(), 1536u);
  EXPECT_EQ(parse_size("1.5GiB").value(), 1610612736u);
  EXPECT_EQ(parse_size("512 MiB").value(), 536870912u);
  EXPECT_EQ(parse_size("2GB").value(), 2000000000u);
  for (const char* bad : {"", "GiB", "-1", "-0", "1XB", "1e400", "nan", "9999999999GiB", "2 Gi B"}) {
    EXPECT_FALSE(parse_size(bad).ok()) << bad;
  }
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1610612736), "1.50 GiB");
  EXPECT_EQ(format_size(1023), "1023 B");
}

// Goal: our SHA-256 is the one of FIPS 180-4 (its own example), in one piece or many.
TEST(Sha256, MatchesTheStandard) {
  EXPECT_EQ(Sha256::of(as_bytes("abc")).hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update(as_bytes("a")).update(as_bytes("")).update(as_bytes("bc"));
  EXPECT_EQ(pieces.finish(), Sha256::of(as_bytes("abc")));
  EXPECT_EQ(pieces.finish(), Sha256::of({}));
  EXPECT_FALSE(Digest::from_hex("ba78").ok());
}

TEST(StageSpec, NamesComeBackUnchanged) {
  EXPECT_EQ(parse_kv_type("q8_0"), KvType::kQ8_0);
  EXPECT_EQ(parse_exact_mode("off"), ExactMode::kOff);
  EXPECT_FALSE(parse_exact_mode("On").has_value());
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "shoal-base-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_;
};

TEST_F(Files, AnAtomicWriteReplacesTheWholeFile) {
  auto path = directory_ / "a" / "b";
  ASSERT_TRUE(make_directories(path.parent_path()).ok());
  ASSERT_TRUE(write_file_atomic(path, "first, a longer one").ok());
  ASSERT_TRUE(write_file_atomic(path, "second").ok());
  EXPECT_EQ(read_file(path, 100).value(), "second");
  EXPECT_EQ(read_file(path, 5).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1);
}

TEST_F(Files, ErrorsNameThePathAndTheReason) {
  auto missing = directory_ / "missing";
  EXPECT_EQ(MappedFile::open(missing).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(read_file(missing, 1).error().message, testing::HasSubstr("missing: No such file"));
  EXPECT_EQ(MappedFile::open(directory_).error().code, ErrorCode::kInvalidArgument);
  std::ofstream(directory_ / "short") << "ab";
  auto file = FileDescriptor::open_read(directory_ / "short").value();
  Bytes into(3);
  EXPECT_EQ(file.read_at(0, into, "short").error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace shoal
