// Goal: what is found is what was written last at each position, whatever was forked, cut and forgotten meanwhile, and
// the bound holds. How: against a plain table of rows.
#include "node/journal.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::node {
namespace {

constexpr std::size_t kRowBytes = 12;
using enum ActivationType;

Bytes row(std::uint64_t value) {
  Bytes bytes(kRowBytes);
  store_le(bytes.data(), value);
  return bytes;
}
void write(Journal& journal, std::uint64_t sequence, std::uint32_t from, std::uint32_t to, std::uint64_t salt = 0) {
  for (std::uint32_t i = from; i < to; ++i) journal.write({sequence}, i, kF32, row(salt + i));
}
void expect_rows(const Journal& journal, std::uint64_t sequence, std::uint32_t first, std::uint32_t count,
                 std::uint64_t salt = 0) {
  const auto found = journal.find({sequence}, first, count);
  ASSERT_TRUE(found) << "rows " << first << " to " << first + count;
  ASSERT_EQ(found->bytes.size(), count * kRowBytes);
  for (std::uint32_t i = 0; i < count; ++i) {
    EXPECT_EQ(load_le<std::uint64_t>(found->bytes.data() + i * kRowBytes), salt + first + i);
  }
}

TEST(Journal, FindsWhatWasWritten) {
  Journal journal(1u << 20);
  write(journal, 1, 0, 100);
  expect_rows(journal, 1, 0, 100);
  expect_rows(journal, 1, 31, 2);
  expect_rows(journal, 1, 99, 1);
  EXPECT_FALSE(journal.find({1}, 99, 2));
  EXPECT_FALSE(journal.find({2}, 0, 1));
  EXPECT_EQ(journal.bytes(), 100 * kRowBytes);
}

TEST(Journal, ARowReplacesAllFromItsPositionOn) {
  Journal journal(1u << 20);
  write(journal, 1, 0, 70);
  write(journal, 1, 40, 50, 1000);
  expect_rows(journal, 1, 0, 40);
  expect_rows(journal, 1, 40, 10, 1000);
  EXPECT_FALSE(journal.find({1}, 40, 11));
}

TEST(Journal, AGapOrAnotherTypeForgets) {
  Journal journal(1u << 20);
  write(journal, 1, 0, 5);
  write(journal, 1, 6, 8);
  EXPECT_FALSE(journal.find({1}, 0, 1));
  write(journal, 1, 0, 5);
  journal.write({1}, 5, kF16, row(1));
  EXPECT_FALSE(journal.find({1}, 0, 1));
  journal.write({1}, 0, kF16, row(7));
  ASSERT_TRUE(journal.find({1}, 0, 1));
  EXPECT_EQ(journal.find({1}, 0, 1)->type, kF16);
  EXPECT_EQ(journal.bytes(), kRowBytes);
}

TEST(Journal, ForksShareAndPart) {
  Journal journal(1u << 20);
  write(journal, 1, 0, 50);
  journal.fork({{1}, {2}, 40});
  write(journal, 2, 40, 45, 2000);
  write(journal, 1, 50, 60);
  expect_rows(journal, 1, 0, 60);
  expect_rows(journal, 2, 0, 40);
  expect_rows(journal, 2, 40, 5, 2000);
  journal.forget({1});
  expect_rows(journal, 2, 0, 40);
  journal.fork({{2}, {3}, 46});  // more than there is
  EXPECT_FALSE(journal.find({3}, 0, 1));
  EXPECT_EQ(journal.bytes(), 45 * kRowBytes);
}

TEST(Journal, WhoWasNotWrittenForLongestGoesFirst) {
  Journal journal(20 * kRowBytes);
  write(journal, 1, 0, 8);
  write(journal, 2, 0, 8);
  write(journal, 1, 8, 9);
  write(journal, 3, 0, 4);
  EXPECT_FALSE(journal.find({2}, 0, 1));
  expect_rows(journal, 1, 0, 9);
  expect_rows(journal, 3, 0, 4);
  write(journal, 3, 4, 30);  // longer than all there is: gone, and so is what came before it
  EXPECT_FALSE(journal.find({3}, 0, 1));
  EXPECT_EQ(journal.bytes(), 0u);
}

TEST(Journal, OfNoBytesHoldsNothing) {
  Journal journal(0);
  write(journal, 1, 0, 3);
  EXPECT_FALSE(journal.find({1}, 0, 1));
  EXPECT_EQ(journal.bytes(), 0u);
}

TEST(Journal, EqualsAPlainTable) {
  SplitMix64 random(7);
  Journal journal(1u << 20);
  std::map<std::uint64_t, std::vector<std::uint64_t>> plain;
  std::uint64_t next_id = 1;
  std::uint64_t value = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t id = 1 + random.below(next_id);
    auto& rows = plain[id];
    switch (random.below(10)) {
      case 0:
        journal.forget({id});
        plain.erase(id);
        break;
      case 1: {
        if (rows.empty() || plain.size() > 12) break;
        const auto length = static_cast<std::uint32_t>(1 + random.below(rows.size()));
        journal.fork({{id}, {++next_id}, length});
        plain[next_id] = {rows.begin(), rows.begin() + length};
        break;
      }
      default: {
        const auto at = static_cast<std::uint32_t>(random.below(4) == 0 ? random.below(rows.size() + 1) : rows.size());
        if (at > 200) break;
        journal.write({id}, at, kF32, row(++value));
        rows.resize(at);
        rows.push_back(value);
      }
    }
  }
  std::uint64_t bytes = 0;
  for (const auto& [id, rows] : plain) {
    bytes += rows.size() * kRowBytes;
    if (rows.empty()) continue;
    const auto found = journal.find({id}, 0, static_cast<std::uint32_t>(rows.size()));
    ASSERT_TRUE(found);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(load_le<std::uint64_t>(found->bytes.data() + i * kRowBytes), rows[i]);
    }
  }
  EXPECT_EQ(journal.bytes(), bytes);
}

}  // namespace
}  // namespace shoal::node
