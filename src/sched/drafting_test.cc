// Goal: lookup finds what followed last time and nothing else; drafts are sent where they pay and not where they do
// not.
#include "sched/drafting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::sched {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NgramLookup, TakesTheLatestPlaceOfTheLongestEnd) {
  NgramLookup lookup;
  //                              |- 3 -|  ->       |- 2 -| -> 50
  const std::vector<Token> text = {1, 2, 3, 40, 41, 9, 2, 3, 50, 51, 1, 2, 3};
  EXPECT_THAT(lookup.find(text, 2), ElementsAre(40, 41));
  NgramLookup shorter;
  EXPECT_THAT(shorter.find({1, 2, 30, 9, 1, 2, 31, 8, 1, 2}, 2), ElementsAre(31, 8));
}

TEST(NgramLookup, GoesOnIntoItsOwnDrafts) {
  NgramLookup lookup;
  EXPECT_THAT(lookup.find({7, 8, 7, 8}, 5), ElementsAre(7, 8, 7, 8, 7));
}

TEST(NgramLookup, FindsNothingWhereNothingRepeats) {
  NgramLookup lookup;
  EXPECT_THAT(lookup.find({}, 4), IsEmpty());
  EXPECT_THAT(lookup.find({1}, 4), IsEmpty());
  EXPECT_THAT(lookup.find({1, 2, 3, 4, 5, 6}, 4), IsEmpty());
}

// Goal: the index that grows with the text finds what a search of the whole text finds.
TEST(NgramLookup, EqualsASearch) {
  SplitMix64 random(4);
  NgramLookup lookup;
  std::vector<Token> text;
  for (int i = 0; i < 2000; ++i) {
    text.push_back(static_cast<Token>(random.below(6)));
    std::vector<Token> expected;
    for (const std::size_t n : {3u, 2u}) {
      for (std::size_t at = text.size() - 1; at >= n && expected.empty() && text.size() > n; --at) {
        if (std::equal(text.end() - static_cast<std::ptrdiff_t>(n), text.end(),
                       text.begin() + static_cast<std::ptrdiff_t>(at - n))) {
          expected.assign(1, text[at]);
        }
      }
    }
    if (random.below(3) == 0) {
      EXPECT_EQ(lookup.find(text, 1), expected) << i;
    }
  }
}

CostLine line(double base, double row) {
  CostLine cost;
  for (const std::size_t rows : {1u, 2u, 5u, 9u}) {
    cost.measured(rows, Duration(static_cast<std::int64_t>(base + row * static_cast<double>(rows))));
  }
  return cost;
}

TEST(DraftCount, FollowsAcceptanceAndCost) {
  const CostLine cheap = line(20000, 200);  // a row more costs 1 %
  EXPECT_EQ(best_draft_count(cheap, 0.95, 1, 8), 8u);
  EXPECT_EQ(best_draft_count(cheap, 0.001, 1, 8), 0u);
  const CostLine dear = line(1000, 20000);  // a row is all that a step costs
  EXPECT_EQ(best_draft_count(dear, 0.9, 1, 8), 0u);
  std::size_t last = 0;
  for (const double rate : {0.05, 0.2, 0.5, 0.8, 0.99}) {
    const std::size_t count = best_draft_count(line(20000, 1000), rate, 1, 8);
    EXPECT_GE(count, last);
    last = count;
  }
  EXPECT_GT(last, 3u);
  // Rows of others make the step longer, and a draft of one sequence worth less beside them.
  EXPECT_LE(best_draft_count(line(20000, 1000), 0.5, 32, 8), best_draft_count(line(20000, 1000), 0.5, 1, 8));
  EXPECT_EQ(best_draft_count(cheap, 0.9, 1, 0), 0u);
}

TEST(Acceptance, FollowsWhatIsTriedAndForgives) {
  Acceptance acceptance;
  for (int i = 0; i < 40; ++i) acceptance.tried(4, 4);
  EXPECT_GT(acceptance.rate(), 0.95);
  for (int i = 0; i < 40; ++i) acceptance.tried(4, 0);
  EXPECT_LT(acceptance.rate(), 0.05);
  for (int i = 0; i < 500; ++i) acceptance.not_tried();
  EXPECT_GT(acceptance.rate(), 0.45);
  acceptance.tried(0, 0);
}

}  // namespace
}  // namespace shoal::sched
