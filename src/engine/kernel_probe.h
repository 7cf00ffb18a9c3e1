// Which fast matrix kernels keep a row's bits whatever its company, found out by trying them on small matrices.
//
// The answer is a fact about the processor and the ggml build, one per weight type, and never about a model or a cut:
// so every exact stage of one kernel family chooses the same kernel for the same tensor, and where a model is cut
// cannot change an answer. Tried once per process and type (a few milliseconds), remembered. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::engine {

struct KernelVerdict {
  bool repack_exists = false;   // this machine has a repacked (interleaved) form of the type
  bool repack_exact = false;    // ... whose result for a row is the same in every batch size tried
  bool tinyblas_exact = false;  // tinyBLAS gives the bits of ggml's row-by-row dot product, or never takes this type
};

// `type`: a ggml_type. Types that cannot be made from floats without calibration data (IQ1, IQ2) report all false.
KernelVerdict probe_kernels(std::uint32_t type);

// Seconds that one thread needs for a matrix of `type` (2048 x 2048; for one vector 2048 x 8192) times `rows` vectors,
// the median of five runs after one to warm up, with every kernel allowed or with the exact ones only. 0: the type
// cannot be made (see above).
double time_kernels(std::uint32_t type, std::uint32_t rows, bool exact_only);

// "Q4_K", as llama.cpp's tools write it. `type` is one that this build knows.
std::string weight_type_name(std::uint32_t type);

}  // namespace shoal::engine
