#include "engine/llama_memory.h"

#include "llama-ext.h"

namespace shoal::engine {

StageMemory measure_memory(const llama_context* context, std::uint32_t output_rows, std::uint32_t vocabulary_size) {
  StageMemory memory;
  for (const auto& [type, bytes] : llama_get_memory_breakdown(context)) {
    memory.weights_bytes += bytes.model;
    memory.kv_bytes += bytes.context;
    memory.compute_bytes += bytes.compute;
  }
  memory.compute_bytes += std::uint64_t{output_rows} * vocabulary_size * sizeof(float);
  return memory;
}

}  // namespace shoal::engine
