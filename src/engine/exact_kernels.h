// Which kernels of ggml's CPU backend a stage may use, where some break exactness (docs/architecture.md §2).
//
// Two kernels give a row other bits when it has company: tinyBLAS (llamafile_sgemm), which takes over from two rows on
// and sums in another order, and the attention that splits one row's KV over the threads (from 512 KV cells on, one row
// in the micro-batch, two threads and more). llama.cpp has no run-time switch for either, so the linker puts our
// functions in front of them (--wrap, see CMakeLists.txt). They recognise a stage by its thread pool: stages of one
// process do not disturb each other, and a thread pool nobody limited gets every kernel. The look-up is lock-free.
#pragma once

#include <cstdint>

#include "base/result.h"

struct ggml_threadpool;

namespace shoal::engine {

// At most this many limited thread pools (stages) live in one process at a time.
inline constexpr std::uint32_t kLimitedPoolsMax = 64;

struct KernelLimits {
  std::uint64_t tinyblas_types = 0;  // bit t: tinyBLAS may multiply weights of ggml_type t
};

// Keeps `pool`'s computations to the exact kernels for as long as it lives. Made and destroyed while the pool is idle.
class KernelLimitsScope {
 public:
  KernelLimitsScope() = default;  // limits nothing
  // kResourceExhausted: more than kLimitedPoolsMax pools are limited.
  static Result<KernelLimitsScope> limit(const ggml_threadpool* pool, KernelLimits limits);
  ~KernelLimitsScope();
  KernelLimitsScope(KernelLimitsScope&& other) noexcept;
  KernelLimitsScope& operator=(KernelLimitsScope&& other) noexcept;

 private:
  explicit KernelLimitsScope(int entry) : entry_(entry) {}
  int entry_ = -1;
};

}  // namespace shoal::engine
