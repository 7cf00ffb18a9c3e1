// Goal: hidden states come back from f16 and q8_0 as near as the formats allow, and what cannot be told in a type is
// refused. How: random rows against the formats' own formulas, with the tolerance of activations.h.
#include "engine/activations.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/random.h"

namespace shoal::engine {
namespace {

constexpr std::size_t kWidth = 96;
constexpr std::size_t kRows = 5;

// From quiet rows to loud ones, as hidden states are.
std::vector<float> random_rows(std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> rows(kRows * kWidth);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t row = i / kWidth;
    rows[i] = static_cast<float>((random.unit() - 0.5) * std::pow(10.0, static_cast<double>(row) - 1));
  }
  return rows;
}

std::vector<float> there_and_back(const std::vector<float>& rows, ActivationType type) {
  const auto packed = pack_activations(rows, kWidth, type);
  EXPECT_TRUE(packed);
  EXPECT_EQ(packed->size(), kRows * *activation_row_bytes(type, kWidth));
  const auto back = unpack_activations(*packed, kRows, kWidth, type);
  EXPECT_TRUE(back.ok());
  return back.ok() ? *back : rows;
}

TEST(Activations, F16KeepsElevenBits) {
  const auto rows = random_rows(1), back = there_and_back(rows, ActivationType::kF16);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LE(std::fabs(rows[i] - back[i]), std::max(std::fabs(rows[i]) / 2048, 0x1p-25f)) << rows[i];
  }
  EXPECT_NE(rows, back);
}

TEST(Activations, Q8IsTheNearestStepOfItsBlocksScale) {
  const auto rows = random_rows(2), back = there_and_back(rows, ActivationType::kQ8_0);
  for (std::size_t block = 0; block < rows.size(); block += 32) {
    float largest = 0;
    for (std::size_t i = block; i < block + 32; ++i) largest = std::max(largest, std::fabs(rows[i]));
    const float step = largest / 127;
    for (std::size_t i = block; i < block + 32; ++i) {
      EXPECT_LE(std::fabs(rows[i] - back[i]), 0.57f * step) << rows[i] << " beside " << largest;
      EXPECT_NEAR(back[i], std::round(rows[i] / step) * step, step * 127 / 2048) << rows[i];
    }
  }
}

TEST(Activations, ZerosStayZeros) {
  const std::vector<float> zeros(kRows * kWidth);
  EXPECT_EQ(there_and_back(zeros, ActivationType::kF16), zeros);
  EXPECT_EQ(there_and_back(zeros, ActivationType::kQ8_0), zeros);
}

TEST(Activations, WhatATypeCannotTellIsNotPacked) {
  std::vector<float> rows(kWidth, 1.0f);
  rows[7] = -65520;
  EXPECT_FALSE(pack_activations(rows, kWidth, ActivationType::kF16));
  EXPECT_TRUE(pack_activations(rows, kWidth, ActivationType::kQ8_0));
  rows[7] = 127 * 65600.0f;
  EXPECT_FALSE(pack_activations(rows, kWidth, ActivationType::kQ8_0));
  const std::vector<float> narrow(40, 1.0f);
  EXPECT_FALSE(pack_activations(narrow, 40, ActivationType::kQ8_0));
  EXPECT_TRUE(pack_activations(narrow, 40, ActivationType::kF16));
}

TEST(Activations, OtherSizesAreRefused) {
  const auto refused = [](std::size_t bytes, std::size_t rows, std::size_t width, ActivationType type) {
    const auto result = unpack_activations(Bytes(bytes), rows, width, type);
    return !result.ok() && result.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(2 * kWidth * 2 - 2, 2, kWidth, ActivationType::kF16));
  EXPECT_TRUE(refused(0, 2, kWidth, ActivationType::kF16));
  EXPECT_TRUE(refused(2 * 3 * 34 + 34, 2, kWidth, ActivationType::kQ8_0));
  EXPECT_TRUE(refused(2 * 34, 2, 40, ActivationType::kQ8_0));
  EXPECT_FALSE(refused(2 * 3 * 34, 2, kWidth, ActivationType::kQ8_0));
}

}  // namespace
}  // namespace shoal::engine
