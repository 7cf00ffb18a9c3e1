// Goal: hidden states shrink only on links that hold the others up, and no more than that takes. How: a link of 1024
// floats a row, where a chunk takes 128 KiB in f32, 64 in f16 and 34 in q8_0.
#include "plan/activation_choice.h"

#include <gtest/gtest.h>

namespace shoal::plan {
namespace {

using namespace std::chrono_literals;
constexpr auto kF32 = ActivationType::kF32;
constexpr auto kF16 = ActivationType::kF16;
constexpr auto kQ8 = ActivationType::kQ8_0;

// Of a link that takes so long for a chunk in f32, beside stages that take 100 ms.
ActivationType choice(Duration f32_time, ActivationType now = kF32, std::size_t embedding_length = 1024,
                      Duration rtt = 4ms) {
  const double bytes = static_cast<double>(kActivationChunkRows * embedding_length * 4);
  return choose_activation_type({embedding_length, rtt, bytes / static_cast<double>(f32_time.count()) * 1e6, 100ms},
                                now);
}

TEST(ActivationChoice, TheLargestTypeThatDoesNotHoldTheStagesUp) {
  EXPECT_EQ(choice(1ms), kF32);
  EXPECT_EQ(choice(99ms), kF32);
  EXPECT_EQ(choice(101ms), kF16);
  EXPECT_EQ(choice(199ms), kF16);
  EXPECT_EQ(choice(201ms), kQ8);
  EXPECT_EQ(choice(10s), kQ8) << "still the bottleneck, and nothing is smaller";
}

TEST(ActivationChoice, ALargerTypeAgainOnlyWithTimeToSpare) {
  EXPECT_EQ(choice(90ms, kF16), kF16);
  EXPECT_EQ(choice(79ms, kF16), kF32);
  EXPECT_EQ(choice(190ms, kQ8), kQ8);
  EXPECT_EQ(choice(159ms, kQ8), kF16);
  EXPECT_EQ(choice(79ms, kQ8), kF32);
  EXPECT_EQ(choice(250ms, kF16), kQ8);
}

TEST(ActivationChoice, RowsThatMakeNoBlocksGoAsF16) {
  EXPECT_EQ(choice(10s, kF32, 1000), kF16);
}

TEST(ActivationChoice, WhereLatencyRulesBytesDoNotMatter) {
  EXPECT_EQ(choice(110ms, kF32, 1024, 100ms), kF16);
  EXPECT_EQ(choice(110ms, kF32, 1024, 2s), kF32);
}

TEST(ActivationChoice, WhatWasNotMeasuredChangesNothing) {
  EXPECT_EQ(choose_activation_type({1024, 4ms, 0, 100ms}, kF32), kF32);
  EXPECT_EQ(choose_activation_type({1024, 4ms, 1, 0ms}, kQ8), kF32);
}

}  // namespace
}  // namespace shoal::plan
