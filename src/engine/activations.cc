#include "engine/activations.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/assert.h"
#include "ggml.h"

namespace shoal::engine {
namespace {

constexpr float kF16Max = 65504;
constexpr float kQ8Steps = 127;

struct Kind {
  ggml_type type;
  float value_max;
};

Kind kind_of(ActivationType type) {
  SHOAL_ASSERT(type != ActivationType::kF32);
  return type == ActivationType::kF16 ? Kind{GGML_TYPE_F16, kF16Max} : Kind{GGML_TYPE_Q8_0, kF16Max * kQ8Steps};
}

}  // namespace

std::optional<Bytes> pack_activations(std::span<const float> hidden, std::size_t embedding_length,
                                      ActivationType type) {
  const Kind kind = kind_of(type);
  const auto row_bytes = activation_row_bytes(type, embedding_length);
  if (!row_bytes) return std::nullopt;
  SHOAL_ASSERT(hidden.size() % embedding_length == 0 &&
               *row_bytes == ggml_row_size(kind.type, static_cast<std::int64_t>(embedding_length)));
  float largest = 0;
  for (const float value : hidden) largest = std::max(largest, std::fabs(value));
  if (!(largest <= kind.value_max)) return std::nullopt;
  Bytes packed(hidden.size() / embedding_length * *row_bytes);
  // Whole blocks make a row, so all rows are one.
  ggml_get_type_traits(kind.type)->from_float_ref(hidden.data(), packed.data(),
                                                  static_cast<std::int64_t>(hidden.size()));
  return packed;
}

Result<std::vector<float>> unpack_activations(ByteSpan packed, std::size_t rows, std::size_t embedding_length,
                                              ActivationType type) {
  const auto row_bytes = activation_row_bytes(type, embedding_length);
  if (!row_bytes || packed.size() != rows * *row_bytes) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} bytes are not {} rows of {} values in {}", packed.size(),
                                                          rows, embedding_length, to_string(type))};
  }
  std::vector<float> hidden(rows * embedding_length);
  ggml_get_type_traits(kind_of(type).type)
      ->to_float(packed.data(), hidden.data(), static_cast<std::int64_t>(hidden.size()));
  return hidden;
}

}  // namespace shoal::engine
