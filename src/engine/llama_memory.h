// A loaded stage's buffers as llama.cpp itself counts them. Behind it: llama-ext.h, not part of the C API.
#pragma once

#include "base/stage_spec.h"

struct llama_context;

namespace shoal::engine {

// Weights, KV and graph buffers of the context's model. The output buffer (logits of the last step's rows) is not in
// llama.cpp's count: `output_rows` of `vocabulary_size` floats are added to compute_bytes.
StageMemory measure_memory(const llama_context* context, std::uint32_t output_rows, std::uint32_t vocabulary_size);

}  // namespace shoal::engine
