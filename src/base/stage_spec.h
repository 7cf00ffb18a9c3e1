// What a stage is, in words that every folder shares.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/ids.h"

namespace shoal {

using Token = std::int32_t;  // an index into the model's vocabulary

// [first, last) in the model's own numbering.
struct LayerRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  auto operator<=>(const LayerRange&) const = default;
  std::uint32_t count() const { return last - first; }
  std::string text() const { return fmt::format("{}:{}", first, last); }
};

// More rows than this take another attention path in llama.cpp and round differently (docs/architecture.md §2).
inline constexpr std::uint32_t kStepRowsMax = 63;

enum class KvType : std::uint8_t { kF16, kQ8_0 };

// auto: exact wherever that costs under 10 %; on: always, or the stage refuses to load; off: whatever is fastest.
// The coordinator decides what auto means, once for a model and a kernel family (coordinator/kernel_choice.h): a stage
// that is told auto takes the exact kernels, and says so when even these are not exact.
enum class ExactMode : std::uint8_t { kAuto, kOn, kOff };

inline constexpr std::array<std::string_view, 2> kKvTypeNames = {"f16", "q8_0"};
inline constexpr std::array<std::string_view, 3> kExactModeNames = {"auto", "on", "off"};

inline std::string_view to_string(KvType type) {
  return kKvTypeNames[static_cast<std::size_t>(type)];
}
inline std::string_view to_string(ExactMode mode) {
  return kExactModeNames[static_cast<std::size_t>(mode)];
}
std::optional<KvType> parse_kv_type(std::string_view text);
std::optional<ExactMode> parse_exact_mode(std::string_view text);

// How every stage of a plan is loaded; the same for all of them, so that they fit together.
struct StageSettings {
  std::uint32_t context_tokens_max = 4096;  // longest sequence, prompt and answer together
  std::uint32_t sequences_max = 8;          // sequences whose KV a stage holds at once
  std::uint32_t kv_tokens_total = 8192;     // KV cells that all sequences share
  KvType kv_type = KvType::kF16;
  ExactMode exact = ExactMode::kAuto;
  bool operator==(const StageSettings&) const = default;
};

// How much of a model's weights is of one type.
struct WeightType {
  std::uint32_t type = 0;  // a ggml_type
  std::uint64_t bytes = 0;
  bool operator==(const WeightType&) const = default;
};
// What leaving out the fast kernels that are not exact takes on one kernel family.
struct KernelCost {
  bool measured = false;  // false: no type's kernels had to be left out, exactness is free
  double cost = 0;        // more time, 0.1 = 10 %
  std::string left_out;   // "repacked Q4_K, tinyBLAS F16"
  bool operator==(const KernelCost&) const = default;
};

// What a stage found out about itself on loading.
struct ExactnessReport {
  bool exact = false;
  std::string reason;  // one line: how it was proven, or why it is not exact
  bool operator==(const ExactnessReport&) const = default;
};

// A new sequence begins with the first `length` positions of another one, which stays as it is.
struct Fork {
  SequenceId from;
  SequenceId sequence;
  std::uint32_t length = 0;
  bool operator==(const Fork&) const = default;
};

// Positions from `length` on are dropped from a sequence's KV, if there are any: drafts that were wrong, the end of an
// earlier text, or what only some stages were given before a plan ended. At least `length` are there.
struct Truncation {
  SequenceId sequence;
  std::uint32_t length = 0;
  bool operator==(const Truncation&) const = default;
};

// Bytes as measured from the loaded stage.
struct StageMemory {
  std::uint64_t weights_bytes = 0;
  std::uint64_t kv_bytes = 0;
  std::uint64_t compute_bytes = 0;  // graph and output buffers
  std::uint64_t total() const { return weights_bytes + kv_bytes + compute_bytes; }
  bool operator==(const StageMemory&) const = default;
};

}  // namespace shoal
