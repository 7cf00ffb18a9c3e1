#include "engine/exact_kernels.h"

#include <array>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "ggml-cpu-impl.h"  // ggml_compute_params: what the wrapped kernels are called with
#include "llamafile/sgemm.h"

namespace shoal::engine {
namespace {

struct Entry {
  std::atomic<const ggml_threadpool*> pool{nullptr};
  std::atomic<std::uint64_t> tinyblas_types{0};
};
// Process-wide because the linker's wrappers have no object to belong to. Constant-initialised.
constinit std::array<Entry, kLimitedPoolsMax> entries{};
constinit std::atomic<int> entries_in_use{0};  // entries at and above it were never used

const Entry* find(const ggml_threadpool* pool) {
  const int count = entries_in_use.load(std::memory_order_acquire);
  for (int i = 0; i < count; ++i) {
    if (entries[i].pool.load(std::memory_order_acquire) == pool) return &entries[i];
  }
  return nullptr;
}

}  // namespace

Result<KernelLimitsScope> KernelLimitsScope::limit(const ggml_threadpool* pool, KernelLimits limits) {
  for (int i = 0; i < static_cast<int>(entries.size()); ++i) {
    const ggml_threadpool* expected = nullptr;
    if (!entries[i].pool.compare_exchange_strong(expected, pool)) continue;
    entries[i].tinyblas_types.store(limits.tinyblas_types, std::memory_order_release);
    int seen = entries_in_use.load();
    while (seen <= i && !entries_in_use.compare_exchange_weak(seen, i + 1)) {
    }
    return KernelLimitsScope(i);
  }
  return Error{ErrorCode::kResourceExhausted,
               fmt::format("more than {} exact stages in one process; load them in another", kLimitedPoolsMax)};
}

KernelLimitsScope::~KernelLimitsScope() {
  if (entry_ >= 0) entries[entry_].pool.store(nullptr);
}

KernelLimitsScope::KernelLimitsScope(KernelLimitsScope&& other) noexcept : entry_(std::exchange(other.entry_, -1)) {}

KernelLimitsScope& KernelLimitsScope::operator=(KernelLimitsScope&& other) noexcept {
  std::swap(entry_, other.entry_);
  return *this;
}

}  // namespace shoal::engine

// The names and types are ggml's (ggml-cpu/llamafile/sgemm.h, ggml-cpu/ops.h at v0.5.0).
extern "C" {

bool __real_llamafile_sgemm(const ggml_compute_params* params, int64_t m, int64_t n, int64_t k, const void* a,
                            int64_t lda, const void* b, int64_t ldb, void* c, int64_t ldc, int a_type, int b_type,
                            int c_type);
bool __wrap_llamafile_sgemm(const ggml_compute_params* params, int64_t m, int64_t n, int64_t k, const void* a,
                            int64_t lda, const void* b, int64_t ldb, void* c, int64_t ldc, int a_type, int b_type,
                            int c_type) {
  if (const auto* entry = shoal::engine::find(params->threadpool)) {
    // "false" is tinyBLAS's own way to say: not my case, use ggml's row-by-row dot products.
    if ((entry->tinyblas_types.load(std::memory_order_acquire) >> a_type & 1) == 0) return false;
  }
  return __real_llamafile_sgemm(params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type);
}

void __real_ggml_compute_forward_flash_attn_ext(const ggml_compute_params* params, ggml_tensor* dst);
void __wrap_ggml_compute_forward_flash_attn_ext(const ggml_compute_params* params, ggml_tensor* dst) {
  if (shoal::engine::find(params->threadpool) == nullptr) {
    __real_ggml_compute_forward_flash_attn_ext(params, dst);
    return;
  }
  ggml_compute_params reference = *params;
  reference.use_ref = true;  // one row at a time over all its KV: no split over threads, no tiles
  __real_ggml_compute_forward_flash_attn_ext(&reference, dst);
}
}
