// Hidden states as they travel in fewer bytes (base/activations.h), and back, with ggml's own conversions of rows: the
// same bytes on every device. Pure; any thread.
//
// How far a value x comes back from where it was: f16 up to |x| / 2048; q8_0 up to 0.57 / 127 of the largest of its 32
// (half a step of the scale, and the scale's own rounding to f16).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/activations.h"
#include "base/bytes.h"
#include "base/result.h"

namespace shoal::engine {

// `hidden`: whole rows, all values finite. nullopt: they cannot be told in this type (the rows' length; a value beyond
// f16's 65504, in q8_0 beyond 127 times that) and travel as f32. Not called with kF32, which needs no packing.
std::optional<Bytes> pack_activations(std::span<const float> hidden, std::size_t embedding_length, ActivationType type);

// kInvalidArgument: not so many rows of this length in this type; known before memory is taken.
Result<std::vector<float>> unpack_activations(ByteSpan packed, std::size_t rows, std::size_t embedding_length,
                                              ActivationType type);

}  // namespace shoal::engine
