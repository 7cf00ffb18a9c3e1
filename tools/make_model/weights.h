// Random weights: values that depend on (seed, tensor name, index) alone, quantised and written row by row.
#pragma once

#include <cstdint>

#include "base/file.h"
#include "make_model/shape.h"

namespace shoal::tools {

// `count` values of the tensor from flat index `first` (a multiple of 4) on.
void random_values(std::uint64_t tensor_seed, std::uint64_t first, std::uint64_t count, float center, float spread,
                   float* out);
// What the values of a tensor start from.
std::uint64_t tensor_seed(std::uint64_t seed, std::string_view name);

// Generates the tensor, quantises it and writes it at `offset` of the file, on `threads` threads.
Status write_weights(const TensorShape& shape, std::uint64_t seed, std::uint32_t threads, const FileDescriptor& file,
                     std::uint64_t offset, const std::filesystem::path& name);

}  // namespace shoal::tools
