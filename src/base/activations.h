// The types in which hidden states travel from a node to the next. f32 is what stages compute with and keeps every bit;
// f16 and q8_0 (ggml's: blocks of 32, an f16 scale and 32 signed bytes) are for links that are the bottleneck where
// exact answers are not asked for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace shoal {

enum class ActivationType : std::uint8_t { kF32, kF16, kQ8_0 };  // the wire's numbers, from large to small

inline constexpr std::array<std::string_view, 3> kActivationTypeNames = {"f32", "f16", "q8_0"};

inline constexpr std::string_view to_string(ActivationType type) {
  return kActivationTypeNames[static_cast<std::size_t>(type)];
}

// What a row is made of: so many floats in so many bytes.
struct ActivationUnit {
  std::size_t floats;
  std::size_t bytes;
};
inline constexpr ActivationUnit activation_unit(ActivationType type) {
  constexpr std::array<ActivationUnit, 3> kUnits = {{{1, 4}, {1, 2}, {32, 34}}};
  return kUnits[static_cast<std::size_t>(type)];
}

// nullopt: rows of so many floats cannot travel as this type (q8_0 of what is no multiple of 32).
inline constexpr std::optional<std::size_t> activation_row_bytes(ActivationType type, std::size_t embedding_length) {
  const ActivationUnit unit = activation_unit(type);
  if (embedding_length % unit.floats != 0) return std::nullopt;
  return embedding_length / unit.floats * unit.bytes;
}

}  // namespace shoal
