// Goal: lookup finds what followed last time and nothing else; drafts are sent where they pay and not where they do
// not.
#include "sched/drafting.h"

#include <deque>
#include <functional>
#include <map>

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

template <typename Cost = RowCosts>
Cost line(double base, double row) {
  Cost cost;
  for (const std::size_t rows : {1u, 2u, 5u, 9u}) {
    cost.measured(rows, Duration(static_cast<std::int64_t>(base + row * static_cast<double>(rows))));
  }
  return cost;
}

TEST(DraftCount, FollowsAcceptanceAndCost) {
  const RowCosts cheap = line(20000, 200);  // a row more costs 1 %
  EXPECT_EQ(best_draft_count(cheap, nullptr, 0.95, 1, 8).count, 8u);
  EXPECT_EQ(best_draft_count(cheap, nullptr, 0.001, 1, 8).count, 0u);
  const RowCosts dear = line(1000, 20000);  // a row is all that a step costs
  EXPECT_EQ(best_draft_count(dear, nullptr, 0.9, 1, 8).count, 0u);
  std::size_t last = 0;
  for (const double rate : {0.05, 0.2, 0.5, 0.8, 0.99}) {
    const std::size_t count = best_draft_count(line(20000, 1000), nullptr, rate, 1, 8).count;
    EXPECT_GE(count, last);
    last = count;
  }
  EXPECT_GT(last, 3u);
  // Rows of others make the step longer, and a draft of one sequence worth less beside them.
  EXPECT_LE(best_draft_count(line(20000, 1000), nullptr, 0.5, 32, 8).count,
            best_draft_count(line(20000, 1000), nullptr, 0.5, 1, 8).count);
  EXPECT_EQ(best_draft_count(cheap, nullptr, 0.9, 1, 0).count, 0u);
}

// Where kernels take rows by fours, so do the drafts: a row more is not worth as much again.
TEST(DraftCount, FollowsWhatStepsOfAsManyRowsTook) {
  RowCosts trip;
  for (std::size_t rows = 1; rows <= 9; ++rows) {
    trip.measured(rows, Duration(static_cast<std::int64_t>(20000 * ((rows + 3) / 4))));
  }
  EXPECT_EQ(best_draft_count(trip, nullptr, 0.9, 1, 8).count, 3u);
  EXPECT_EQ(best_draft_count(trip, nullptr, 0.9, 2, 8).count, 2u);
}

// What a draft model takes to guess counts as the step's.
TEST(DraftCount, PaysForTheDraftModel) {
  const RowCosts trip = line(20000, 200);
  const auto quick = line<CostLine>(100, 100), slow = line<CostLine>(1000, 30000);
  const DraftCount free = best_draft_count(trip, nullptr, 0.9, 1, 8);
  const DraftCount by_model = best_draft_count(trip, &quick, 0.9, 1, 8);
  EXPECT_GT(by_model.count, 0u);
  EXPECT_LT(by_model.speed, free.speed);
  EXPECT_EQ(best_draft_count(trip, &slow, 0.9, 1, 8).count, 0u);
  EXPECT_GT(best_draft_count(trip, &slow, 0.9, 1, 8).speed, 0);  // of no draft
}

TEST(Acceptance, FollowsWhatIsTriedAndForgives) {
  Acceptance acceptance(0.5);
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
    h.clear().back(step, [](const Row&) { return ChosenToken{7, false}; });
    for (const Emit& emit : h.all<Emit>()) emitted += emit.kind == EmitKind::kToken;
  }
  EXPECT_EQ(emitted, 4u);
}

// Where a row more costs three quarters of a step, drafts that come true half the time do not pay; that they would all
// come true is seen without sending any.
TEST(Drafts, AreSentOnceLookupHasBeenRightLongEnough) {
  Harness h(4, {}, 8);
  h.serve(1);
  h.on(SequenceArrived{1, std::vector<Token>(12, 7), 60, 1});
  std::size_t alone = 0, with_drafts = 0;
  for (int i = 0; i < 60 && !h.all<SendStep>().empty(); ++i) {
    const SendStep step = h.all<SendStep>().back();
    if (i > 0) ++(step.rows.size() == 1 ? alone : with_drafts);
    const Duration busy = std::chrono::milliseconds(5 + 15 * step.rows.size());
    h.clear().back(
        step,
        [](const Row&) {
          return ChosenToken{7, false};
        },
        busy);
  }
  EXPECT_GT(alone, 0u);
  EXPECT_LT(alone, 12u);
  EXPECT_GT(with_drafts, 4u);
}

// Steps come back one after the other, as they do; tokens follow from positions. Two stages, one sequence.
struct AheadRun {
  std::vector<Token> tokens;
  std::size_t most_in_flight = 0;
  std::size_t truncations = 0;
};
AheadRun run_ahead(Harness& h, std::uint32_t tokens_max, const std::function<Token(std::uint32_t)>& token_at) {
  AheadRun run;
  h.serve(2);
  EXPECT_EQ(h.snapshot().plan->stages.size(), 2u);
  h.on(SequenceArrived{1, std::vector<Token>(12, 7), tokens_max, 1});
  std::deque<SendStep> under_way;
  for (int i = 0; i < 1000; ++i) {
    for (const SendStep& step : h.all<SendStep>()) under_way.push_back(step);
    for (const Emit& emit : h.all<Emit>()) {
      if (emit.kind == EmitKind::kToken) run.tokens.push_back(emit.token);
    }
    h.clear();
    if (under_way.empty()) break;
    run.most_in_flight = std::max(run.most_in_flight, under_way.size());
    const SendStep step = under_way.front();
    under_way.pop_front();
    run.truncations += step.truncations.size();
    h.back(step, [&](const Row& row) { return ChosenToken{token_at(row.position + 1), false}; });
  }
  return run;
}

// Text that goes on as it was: the second stage computes further drafts while the first ones are in the other.
TEST(DraftsAhead, KeepStagesBusyWhereTextRepeatsItself) {
  Harness h(8, {}, 4);
  const AheadRun run = run_ahead(h, 200, [](std::uint32_t) { return 7; });
  EXPECT_EQ(run.tokens, std::vector<Token>(200, 7));
  EXPECT_EQ(run.most_in_flight, 2u);
  EXPECT_EQ(run.truncations, 0u);
  EXPECT_EQ(h.snapshot().drafts_accepted, h.snapshot().drafts_sent);
  EXPECT_EQ(h.snapshot().kv_tokens_reserved, 0u);
}

// And what was sent ahead of a token that comes otherwise is dropped, at any place of a step.
TEST(DraftsAhead, AreDroppedWhenTextGoesOnDifferently) {
  for (std::uint32_t other = 60; other < 90; ++other) {
    SCOPED_TRACE(other);
    Harness h(8, {}, 4);
    const auto token_at = [other](std::uint32_t position) { return position == other ? 9 : 7; };
    const AheadRun run = run_ahead(h, 150, token_at);
    std::vector<Token> expected(150, 7);
    expected[other - 12] = 9;
    EXPECT_EQ(run.tokens, expected);
    EXPECT_EQ(run.most_in_flight, 2u);
    EXPECT_GT(run.truncations, 0u);
  }
}

// Not with as many sequences as stages: their rows keep the stages busy.
TEST(DraftsAhead, GiveWayToOtherSequences) {
  Harness h(8, {}, 4);
  h.serve(2);
  for (std::uint64_t request = 1; request <= 2; ++request) {
    h.on(SequenceArrived{request, std::vector<Token>(12, 7), 60, 1});
  }
  std::deque<SendStep> under_way;
  std::map<std::uint64_t, std::size_t> emitted;
  for (int i = 0; i < 200; ++i) {
    for (const SendStep& step : h.all<SendStep>()) under_way.push_back(step);
    for (const Emit& emit : h.all<Emit>()) ++emitted[emit.request];
    if (h.clear().snapshot().sequences_live < 2) break;
    ASSERT_FALSE(under_way.empty());
    const SendStep step = under_way.front();
    under_way.pop_front();
    if (!step.rows.empty() && emitted[1] > 12 && emitted[2] > 12) {  // and what was ahead before is through
      EXPECT_TRUE(std::none_of(under_way.begin(), under_way.end(), [&](const SendStep& other) {
        return !other.rows.empty() && other.rows[0].request == step.rows[0].request && other.rows.back().logits > 0 &&
               step.rows.back().logits > 0;
      }));
    }
    h.back(step, [](const Row&) { return ChosenToken{7, false}; });
  }
}

// --- a draft model ---

Limits with_draft_model() {
  Limits limits;
  limits.draft_model = true;
  return limits;
}

// A prompt is told when its sequence becomes live; its first token then asks for drafts, and the row waits for them.
TEST(DraftModel, IsToldTheTextAndStepsWaitForItsDrafts) {
  Harness h(4, with_draft_model(), 4);
  h.serve(1);
  h.on(SequenceArrived{1, {10, 11, 12}, 20, 1});
  const auto told = h.all<AskDrafts>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].ask, 0u);
  EXPECT_THAT(told[0].texts.at(0).tokens, ElementsAre(10, 11, 12));
  const SendStep prompt = h.all<SendStep>().at(0);
  const Duration busy = std::chrono::milliseconds(20);
  h.clear().on(StepDone{prompt.epoch, prompt.step, busy}).on(TokenSampled{prompt.epoch, prompt.step, 1, {20}, false});
  EXPECT_THAT(h.all<SendStep>(), IsEmpty());
  const AskDrafts ask = h.all<AskDrafts>().at(0);
  EXPECT_GT(ask.ask, 0u);
  EXPECT_EQ(ask.texts.at(0).from, 3u);
  EXPECT_THAT(ask.texts.at(0).tokens, ElementsAre(20));
  EXPECT_GT(ask.texts.at(0).count, 0u);

  h.clear().on(Drafted{ask.ask, {{1, {21, 22}}}, Duration(500)});
  const SendStep step = h.all<SendStep>().at(0);
  ASSERT_THAT(step.rows, SizeIs(3));
  EXPECT_EQ(step.rows[1].token, 21);
  EXPECT_EQ(step.rows[2].token, 22);
  h.clear().on(StepDone{step.epoch, step.step, busy}).on(TokenSampled{step.epoch, step.step, 1, {21, 30}, false});
  EXPECT_THAT(h.tokens(1), ElementsAre(21, 30));
  EXPECT_THAT(h.all<AskDrafts>().at(0).texts.at(0).tokens, ElementsAre(21, 30));
  EXPECT_EQ(h.snapshot().model_drafts_sent, 2u);
  EXPECT_EQ(h.snapshot().model_drafts_accepted, 1u);
}

TEST(DraftModel, IsNotWaitedForTooLongNorAskedAgainBeforeItHasAnswered) {
  Harness h(4, with_draft_model(), 4);
  h.serve(1);
  h.on(SequenceArrived{1, {10, 11, 12}, 2000, 1});
  h.back(h.all<SendStep>().at(0));
  const AskDrafts ask = h.all<AskDrafts>().back();
  h.clear().wait(std::chrono::milliseconds(240));
  EXPECT_THAT(h.all<SendStep>(), IsEmpty());
  h.wait(std::chrono::milliseconds(20));
  ASSERT_THAT(h.all<SendStep>(), SizeIs(1));
  EXPECT_THAT(h.all<SendStep>()[0].rows, SizeIs(1));
  const SendStep alone = h.all<SendStep>()[0];
  h.clear().back(alone);
  EXPECT_THAT(h.all<AskDrafts>(), IsEmpty());
  const SendStep next = h.all<SendStep>().at(0);
  // Too late to be of use, and so slow that it is left alone for a while.
  h.clear().on(Drafted{ask.ask, {{1, {7, 8}}}, std::chrono::seconds(1)}).back(next);
  EXPECT_THAT(h.all<SendStep>(), SizeIs(1));
  EXPECT_THAT(h.all<AskDrafts>(), IsEmpty());
  h.run(400);
  EXPECT_THAT(h.all<AskDrafts>(), SizeIs(1));
}

// Drafts for another request, of an old question, for a sequence that has ended: nothing happens.
TEST(DraftModel, AnswersThatMakeNoSenseChangeNothing) {
  Harness h(4, with_draft_model(), 4);
  h.serve(1);
  h.on(SequenceArrived{1, {10, 11, 12}, 20, 1});
  h.back(h.all<SendStep>().at(0));
  const AskDrafts ask = h.all<AskDrafts>().back();
  h.clear().on(Drafted{ask.ask + 1, {{1, {7}}}, Duration(1)}).on(Drafted{0, {{1, {7}}}, Duration(1)});
  EXPECT_THAT(h.all<SendStep>(), IsEmpty());
  h.on(Drafted{ask.ask, {{2, {7}}}, Duration(1)});
  ASSERT_THAT(h.all<SendStep>(), SizeIs(1));
  EXPECT_THAT(h.all<SendStep>()[0].rows, SizeIs(1));
  h.clear().on(Drafted{ask.ask, {{1, {7}}}, Duration(1)});
  EXPECT_THAT(h.actions, IsEmpty());
}

}  // namespace
}  // namespace shoal::sched
