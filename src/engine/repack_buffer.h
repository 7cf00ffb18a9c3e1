// ggml's repacked weights: an extra buffer type of the CPU backend that interleaves rows for its faster kernels.
#pragma once

#include <cstdint>

struct ggml_backend_buffer_type;

namespace shoal::engine {

// nullptr where this build of ggml has none. Owned by ggml.
ggml_backend_buffer_type* repack_buffer_type();

// Whether ggml would repack a weight matrix of this ggml_type and shape (`experts` > 1: of a mixture's stack).
bool can_repack(std::uint32_t type, std::int64_t columns, std::int64_t rows, std::int64_t experts);

}  // namespace shoal::engine
