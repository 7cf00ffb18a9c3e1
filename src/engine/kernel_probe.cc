#include "engine/kernel_probe.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "engine/exact_kernels.h"
#include "engine/repack_buffer.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"
#include "model/llama_log.h"

namespace shoal::engine {
namespace {

struct GgmlFree {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
  void operator()(ggml_threadpool* pool) const { ggml_threadpool_free(pool); }
};
template <typename T>
using Owned = std::unique_ptr<T, GgmlFree>;

constexpr std::int64_t kRows = 64;

Owned<ggml_context> new_context() {
  return Owned<ggml_context>(ggml_init({ggml_tensor_overhead() * 8 + ggml_graph_overhead(), nullptr, true}));
}

std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.unit() * 2 - 1);
  return values;
}

// kRows different rows, repeated: quantising millions of floats would take longer than what is measured.
std::vector<std::uint8_t> make_weights(ggml_type type, std::int64_t columns, std::int64_t rows) {
  const auto floats = random_floats(static_cast<std::size_t>(columns * kRows), 1);
  const std::size_t run_bytes = ggml_row_size(type, columns) * kRows;
  std::vector<std::uint8_t> bytes(ggml_row_size(type, columns) * static_cast<std::size_t>(rows));
  if (type == GGML_TYPE_F32) {
    std::memcpy(bytes.data(), floats.data(), run_bytes);
  } else {
    ggml_quantize_chunk(type, floats.data(), bytes.data(), 0, kRows, columns, nullptr);
  }
  for (std::size_t done = run_bytes; done < bytes.size(); done += run_bytes) {
    std::memcpy(bytes.data() + done, bytes.data(), std::min(run_bytes, bytes.size() - done));
  }
  return bytes;
}

// One weight matrix on one thread, in a plain or a repacked buffer, times any number of vectors.
class Bench {
 public:
  Bench(ggml_type type, std::int64_t columns, std::int64_t rows, bool repacked, std::uint64_t tinyblas_types)
      : columns_(columns), rows_(rows), weights_context_(new_context()), backend_(ggml_backend_cpu_init()) {
    auto params = ggml_threadpool_params_default(1);
    pool_.reset(ggml_threadpool_new(&params));
    if (auto scope = KernelLimitsScope::limit(pool_.get(), {tinyblas_types}); scope.ok()) {
      limits_ = std::move(scope).value();
    }
    ggml_backend_cpu_set_n_threads(backend_.get(), 1);
    ggml_backend_cpu_set_threadpool(backend_.get(), pool_.get());
    weights_ = ggml_new_tensor_2d(weights_context_.get(), type, columns, rows);
    auto* buffer_type = repacked ? repack_buffer_type() : ggml_backend_cpu_buffer_type();
    buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(weights_context_.get(), buffer_type));
    SHOAL_ASSERT(buffer_ != nullptr);
    const auto bytes = make_weights(type, columns, rows);
    ggml_backend_tensor_set(weights_, bytes.data(), 0, bytes.size());
  }

  // `inputs`: count vectors. Returns count x rows floats; `seconds` (may be null): the time of the multiplication.
  std::vector<float> multiply(const float* inputs, std::int64_t count, double* seconds) {
    auto context = new_context();
    auto* in = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, columns_, count);
    auto* out = ggml_mul_mat(context.get(), weights_, in);
    auto* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, out);
    Owned<ggml_backend_buffer> buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend_.get()));
    SHOAL_ASSERT(buffer != nullptr);
    ggml_backend_tensor_set(in, inputs, 0, ggml_nbytes(in));
    const auto start = std::chrono::steady_clock::now();
    ggml_backend_graph_compute(backend_.get(), graph);
    if (seconds) *seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::vector<float> result(static_cast<std::size_t>(count * rows_));
    ggml_backend_tensor_get(out, result.data(), 0, ggml_nbytes(out));
    return result;
  }

 private:
  std::int64_t columns_;
  std::int64_t rows_;
  Owned<ggml_context> weights_context_;
  Owned<ggml_backend_buffer> buffer_;
  Owned<ggml_threadpool> pool_;
  Owned<ggml_backend> backend_;  // freed before its thread pool
  KernelLimitsScope limits_;
  ggml_tensor* weights_ = nullptr;
};

constexpr std::int64_t kColumns = 512;
constexpr std::int64_t kInputs = 63;
constexpr std::array<std::int64_t, 9> kBatches = {1, 2, 3, 4, 5, 7, 8, 16, 63};

// The products of the first kInputs vectors, computed `batch` at a time.
std::vector<float> in_batches(Bench& bench, const std::vector<float>& inputs, std::int64_t batch) {
  std::vector<float> all;
  for (std::int64_t first = 0; first < kInputs; first += batch) {
    const auto part = bench.multiply(inputs.data() + first * kColumns, std::min(batch, kInputs - first), nullptr);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

bool same_in_all_batches(Bench& bench, const std::vector<float>& expected, const std::vector<float>& inputs) {
  return std::all_of(kBatches.begin(), kBatches.end(), [&](std::int64_t batch) {
    const auto result = in_batches(bench, inputs, batch);
    return std::memcmp(result.data(), expected.data(), expected.size() * sizeof(float)) == 0;
  });
}

bool can_be_made(ggml_type type) {
  if (type == GGML_TYPE_F32) return true;
  if (static_cast<int>(type) < 0 || type >= GGML_TYPE_COUNT || ggml_blck_size(type) <= 0) return false;
  if (ggml_quantize_requires_imatrix(type) || kColumns % ggml_blck_size(type) != 0) return false;
  return ggml_is_quantized(type) || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16;
}

KernelVerdict probe(ggml_type type) {
  KernelVerdict verdict;
  if (!can_be_made(type)) return verdict;
  const auto inputs = random_floats(kInputs * kColumns, 2);
  Bench plain(type, kColumns, kRows, false, 0);
  Bench tinyblas(type, kColumns, kRows, false, ~std::uint64_t{0});
  verdict.tinyblas_exact = same_in_all_batches(tinyblas, in_batches(plain, inputs, 1), inputs);
  verdict.repack_exists = can_repack(type, kColumns, kRows, 1);
  if (verdict.repack_exists) {
    Bench repacked(type, kColumns, kRows, true, 0);
    verdict.repack_exact = same_in_all_batches(repacked, in_batches(repacked, inputs, 1), inputs);
  }
  return verdict;
}

std::mutex verdicts_mutex;

}  // namespace

KernelVerdict probe_kernels(std::uint32_t type) {
  // ggml tells stderr of every tensor it repacks.
  model::route_llama_log();
  // Facts about this processor: true for the process's life.
  static std::map<std::uint32_t, KernelVerdict> verdicts;
  std::lock_guard lock(verdicts_mutex);
  auto [found, fresh] = verdicts.try_emplace(type);
  if (fresh) found->second = probe(static_cast<ggml_type>(type));
  return found->second;
}

double time_kernels(std::uint32_t type, std::uint32_t rows, bool exact_only) {
  constexpr std::int64_t kWidth = 2048;
  // One vector: more rows than caches hold, as in a stage, where every decoded token reads all weights from memory.
  const std::int64_t height = rows == 1 ? 4 * kWidth : kWidth;
  constexpr int kRuns = 5;
  const auto weight_type = static_cast<ggml_type>(type);
  if (!can_be_made(weight_type)) return 0;
  const KernelVerdict verdict = probe_kernels(type);
  const bool repacked = verdict.repack_exists && (!exact_only || verdict.repack_exact);
  const bool tinyblas = !exact_only || verdict.tinyblas_exact;
  Bench bench(weight_type, kWidth, height, repacked, tinyblas ? ~std::uint64_t{0} : 0);
  const auto inputs = random_floats(rows * kWidth, 3);
  std::array<double, kRuns> seconds{};
  bench.multiply(inputs.data(), rows, nullptr);
  for (double& run : seconds) bench.multiply(inputs.data(), rows, &run);
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return seconds[kRuns / 2];
}

std::string weight_type_name(std::uint32_t type) {
  std::string name = ggml_type_name(static_cast<ggml_type>(type));
  for (char& c : name) {
    if (c >= 'a' && c <= 'z' && c != 'x') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

}  // namespace shoal::engine
