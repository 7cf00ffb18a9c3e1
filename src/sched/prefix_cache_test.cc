// Goal: the scheduler finds the beginnings of prompts in the KV, and gives them up when the room is needed.
#include "sched/prefix_cache.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sched/scheduler_harness.h"

namespace shoal::sched {
namespace {

using test::Harness;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PrefixCacheTest : public ::testing::Test {
 protected:
  static std::vector<Token> text(Token from, std::size_t count) {
    std::vector<Token> tokens(count);
    std::iota(tokens.begin(), tokens.end(), from);
    return tokens;
  }
  static std::vector<Token> joined(std::vector<Token> a, const std::vector<Token>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  static Limits limits(std::uint32_t sequences, std::uint32_t cells) {
    Limits limits;
    limits.settings.sequences_max = sequences;
    limits.settings.kv_tokens_total = cells;
    limits.settings.context_tokens_max = cells;
    return limits;
  }
  // Asks, and answers with `count` tokens from `first` on; the steps that took.
  std::vector<SendStep> ask(Harness& h, std::uint64_t request, std::vector<Token> prompt, Token first,
                            std::size_t count) {
    std::vector<SendStep> sent;
    h.clear().on(SequenceArrived{request, std::move(prompt), static_cast<std::uint32_t>(count), 1});
    std::size_t emitted = 0;
    while (!h.all<SendStep>().empty() && sent.size() < 50) {
      const std::vector<SendStep> steps = h.all<SendStep>();
      h.clear();
      for (const SendStep& step : steps) {
        sent.push_back(step);
        h.back(step, [&](const Row&) { return ChosenToken{first + static_cast<Token>(emitted++), false}; });
        for (const Emit& emit : h.all<Emit>()) {
          if (emit.kind == EmitKind::kEnd) cached_ = emit.cached_tokens;
        }
      }
    }
    return sent;
  }
  std::uint32_t cached_ = 0;  // of the last answer
};

// A turn of a conversation goes on in the KV of the one before.
TEST_F(PrefixCacheTest, ATurnGoesOnWhereTheLastOneEnded) {
  Harness h(4, limits(4, 200), 0, true);
  h.serve(1);
  const auto first = ask(h, 1, text(100, 30), 500, 5);
  EXPECT_EQ(cached_, 0u);
  // The KV holds the prompt and four of the answer's tokens: the fifth was never sent.
  const auto second = ask(h, 2, joined(joined(text(100, 30), text(500, 5)), text(900, 3)), 700, 2);
  EXPECT_EQ(cached_, 34u);
  EXPECT_EQ(second[0].rows[0].sequence, first[0].rows[0].sequence);
  EXPECT_EQ(second[0].rows[0].position, 34u);
  EXPECT_THAT(second[0].rows, SizeIs(4));
  EXPECT_THAT(second[0].truncations, IsEmpty());
  EXPECT_THAT(second[0].frees, IsEmpty());
  EXPECT_EQ(h.snapshot().cached_tokens, 34u);
}

// The same again: all but the last token of the prompt is there, and what follows it is dropped.
TEST_F(PrefixCacheTest, TheSamePromptIsSentByOneRow) {
  Harness h(4, limits(4, 200), 0, true);
  h.serve(1);
  ask(h, 1, text(100, 30), 500, 5);
  const auto again = ask(h, 2, text(100, 30), 500, 5);
  EXPECT_EQ(cached_, 29u);
  EXPECT_THAT(again[0].rows, SizeIs(1));
  EXPECT_EQ(again[0].rows[0].position, 29u);
  EXPECT_GT(again[0].rows[0].logits, 0u);
  ASSERT_THAT(again[0].truncations, SizeIs(1));
  EXPECT_EQ(again[0].truncations[0].length, 29u);
}

// A system prompt is copied, and the longer text that began with it stays.
TEST_F(PrefixCacheTest, ASharedBeginningIsForked) {
  Harness h(4, limits(4, 400), 0, true);
  h.serve(1);
  ask(h, 1, joined(text(100, 20), text(300, 40)), 500, 5);
  const auto other = ask(h, 2, joined(text(100, 20), text(600, 7)), 500, 5);
  EXPECT_EQ(cached_, 20u);
  ASSERT_THAT(other[0].forks, SizeIs(1));
  EXPECT_EQ(other[0].forks[0].length, 20u);
  EXPECT_EQ(other[0].forks[0].sequence, other[0].rows[0].sequence);
  EXPECT_EQ(other[0].rows[0].position, 20u);
  ask(h, 3, joined(joined(text(100, 20), text(300, 40)), text(700, 3)), 500, 5);
  EXPECT_EQ(cached_, 60u);
  // Of fewer tokens than are worth it nothing is copied.
  const auto little = ask(h, 4, joined(text(100, 5), text(800, 5)), 500, 2);
  EXPECT_EQ(cached_, 0u);
  EXPECT_THAT(little[0].forks, IsEmpty());
}

TEST_F(PrefixCacheTest, ALiveSequenceIsForkedToo) {
  Harness h(4, limits(4, 400), 0, true);
  h.serve(1);
  h.on(SequenceArrived{1, text(100, 30), 50, 1});
  const SendStep first = h.all<SendStep>()[0];
  h.clear().on(SequenceArrived{2, joined(text(100, 25), text(600, 7)), 5, 1});
  const SendStep second = h.all<SendStep>()[0];
  ASSERT_THAT(second.forks, ElementsAre(Fork{first.rows[0].sequence, second.rows[0].sequence, 25}));
  EXPECT_THAT(second.rows, SizeIs(7));
}

// What is kept goes when a live sequence needs its place or its cells, the least recently used first.
TEST_F(PrefixCacheTest, TheLeastRecentlyUsedGivesWay) {
  Harness h(4, limits(3, 100), 0, true);
  h.serve(1);
  const SequenceId first = ask(h, 1, text(100, 20), 500, 3)[0].rows[0].sequence;
  const SequenceId second = ask(h, 2, text(200, 20), 500, 3)[0].rows[0].sequence;
  ask(h, 3, joined(text(100, 20), text(500, 3)), 500, 3);  // the first one is the newest now
  EXPECT_EQ(cached_, 22u);
  const auto third = ask(h, 4, text(300, 20), 500, 3);
  EXPECT_THAT(third[0].frees, IsEmpty());
  const auto fourth = ask(h, 5, text(400, 20), 500, 3);
  EXPECT_THAT(fourth[0].frees, ElementsAre(second));
  const auto large = ask(h, 6, text(900, 60), 500, 30);
  EXPECT_THAT(large[0].frees, SizeIs(3));
  EXPECT_EQ(large[0].frees[0], first);
}

TEST_F(PrefixCacheTest, ANewEpochKeepsNothing) {
  Harness h(4, limits(4, 200), 0, true);
  h.serve(2);
  ask(h, 1, text(100, 30), 500, 5);
  h.on(NodeLost{Harness::node(1)});
  h.load_all();
  ask(h, 2, text(100, 30), 500, 5);
  EXPECT_EQ(cached_, 0u);
}

TEST_F(PrefixCacheTest, OffIsOff) {
  Harness h(4, limits(4, 200));
  h.serve(1);
  const auto first = ask(h, 1, text(100, 30), 500, 5);
  const auto again = ask(h, 2, text(100, 30), 500, 5);
  EXPECT_EQ(cached_, 0u);
  EXPECT_THAT(again[0].rows, SizeIs(30));
}

}  // namespace
}  // namespace shoal::sched
