// Goal: lookup finds what followed last time and nothing else; drafts are sent where they pay and not where they do
// not.
#include "sched/drafting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "sched/scheduler_harness.h"

namespace shoal::sched {
namespace {

using test::Harness;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

// A prompt that repeats itself: what followed last time is sent along, and only what comes true stays.
TEST(Drafts, TravelBehindTheDecodeRowAndWrongOnesAreTruncated) {
  Harness h(4, {}, 3);
  h.serve(1);
  h.on(SequenceArrived{1, {10, 11, 12, 13, 10, 11}, 20, 1});
  const SendStep prompt = h.all<SendStep>()[0];
  ASSERT_THAT(prompt.rows, SizeIs(6));
  h.clear().on(StepDone{prompt.epoch, prompt.step}).on(TokenSampled{prompt.epoch, prompt.step, 1, {12}, false});

  const SendStep step = h.all<SendStep>()[0];  // 11 12 was followed by 13 10 11
  ASSERT_GE(step.rows.size(), 2u);
  EXPECT_EQ(step.rows[0].token, 12);
  EXPECT_EQ(step.rows[1].token, 13);
  EXPECT_EQ(step.rows[1].position, 7u);
  for (const Row& row : step.rows) EXPECT_EQ(row.logits, 1u);
  EXPECT_THAT(step.truncations, IsEmpty());

  // 13 is right, then comes 99: every draft behind it is dropped.
  h.clear().on(StepDone{step.epoch, step.step}).on(TokenSampled{step.epoch, step.step, 1, {13, 99}, false});
  std::vector<Token> emitted;
  for (const Emit& emit : h.all<Emit>()) emitted.push_back(emit.token);
  EXPECT_THAT(emitted, ElementsAre(13, 99));
  const SendStep next = h.all<SendStep>()[0];
  EXPECT_EQ(next.rows[0].token, 99);
  EXPECT_EQ(next.rows[0].position, 8u);
  if (step.rows.size() > 2) {
    ASSERT_THAT(next.truncations, SizeIs(1));
    EXPECT_EQ(next.truncations[0].length, 8u);
  } else {
    EXPECT_THAT(next.truncations, IsEmpty());
  }
  EXPECT_EQ(h.snapshot().drafts_accepted, 1u);
}

TEST(Drafts, TokensThatNobodyDraftedChangeNothing) {
  Harness h(4, {}, 3);
  h.serve(1);
  h.on(SequenceArrived{1, {10, 11, 12, 13, 10, 11}, 20, 1});
  const SendStep prompt = h.all<SendStep>()[0];
  h.clear().on(StepDone{prompt.epoch, prompt.step});
  h.on(TokenSampled{prompt.epoch, prompt.step, 1, {}, false});
  h.on(TokenSampled{prompt.epoch, prompt.step, 1, {12, 13}, false});
  EXPECT_THAT(h.all<Emit>(), IsEmpty());
  h.on(TokenSampled{prompt.epoch, prompt.step, 1, {12}, false});
  EXPECT_THAT(h.all<Emit>(), SizeIs(1));
}

TEST(Drafts, NeverGoBeyondTheAnswersLimit) {
  Harness h(4, {}, 12);
  h.serve(1);
  h.on(SequenceArrived{1, std::vector<Token>(30, 7), 4, 1});
  std::size_t emitted = 0;
  for (int i = 0; i < 20 && !h.all<SendStep>().empty(); ++i) {
    const SendStep step = h.all<SendStep>().back();
    for (const Row& row : step.rows) EXPECT_LT(row.position, 33u);  // the fourth token needs no row
    h.clear().on(StepDone{step.epoch, step.step});
    const auto choose = [](std::size_t) { return std::optional(ChosenToken{7, false}); };
    for (TokenSampled& sampled : sample_rows(step.epoch, step.step, step.rows, choose)) h.on(sampled);
    for (const Emit& emit : h.all<Emit>()) emitted += emit.kind == EmitKind::kToken;
  }
  EXPECT_EQ(emitted, 4u);
}

}  // namespace
}  // namespace shoal::sched
