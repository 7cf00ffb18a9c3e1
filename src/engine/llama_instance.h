// One llama.cpp model with its context and thread pool: what a stage computes with. Knows slots and rows, not
// sequences.
//
// The thread that loads it also calls it (its affinity is part of the pool). Exceptions of llama.cpp end here.
// Arguments are our own and already checked: wrong ones are bugs.
#pragma once

#include <bitset>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "engine/exact_kernels.h"
#include "llama.h"

namespace shoal::engine {

// The kernels an instance may use. Default: whatever llama.cpp finds fastest.
struct KernelChoice {
  bool exact = false;                         // false: the rest is not looked at
  std::uint64_t tinyblas_types = 0;           // KernelLimits
  std::vector<std::string> repacked_tensors;  // regular expressions on tensor names: their weights are repacked
};

struct InstanceOptions {
  bool is_first = true;
  bool is_last = true;
  StageSettings settings;
  std::uint32_t threads = 1;
  std::vector<std::uint32_t> pinned_cpus;  // empty: the system places the threads
  KernelChoice kernels;
  std::function<bool(float)> progress;
};

// One row to evaluate, in a slot (llama.cpp's sequence id, 0 .. kSlotsMax - 1).
struct EvalRow {
  Token token = 0;                // first stage
  const float* hidden = nullptr;  // other stages: embedding_length floats
  std::int32_t position = 0;
  std::int32_t slot = 0;
  bool output = false;  // last stage: logits are wanted
};

inline constexpr std::int32_t kSlotsMax = 256;  // LLAMA_MAX_SEQ of llama.cpp's unified KV
// A last stage computes at most this many rows of logits at a time: a row can be a megabyte.
inline constexpr std::uint32_t kLogitRowsMax = 16;

class LlamaInstance {
 public:
  // kUnsupported (llama.cpp does not take this model, or its layers have no KV of the plain kind), kResourceExhausted
  // (no memory), kCancelled. The file has passed model::read_manifest before.
  static Result<std::unique_ptr<LlamaInstance>> load(const std::filesystem::path& file, const InstanceOptions& options);
  ~LlamaInstance();

  // At most kStepRowsMax rows, of which on a last stage at most kLogitRowsMax with output. On stages that are not last,
  // `hidden` gets rows.size() * embedding_length floats appended. On an error the KV is as before.
  Status eval(std::span<const EvalRow> rows, std::vector<float>* hidden);
  // Of row `index` of the last eval, which had output set; vocabulary_size floats, until the next call of anything.
  const float* logits(std::size_t index) const;

  // KV of one slot in llama.cpp's own format (a kv_state.h payload).
  Result<Bytes> save_slot(std::int32_t slot);
  // Into an empty slot. `payload` has passed check_kv_payload.
  Status restore_slot(std::int32_t slot, ByteSpan payload);
  // Rows from `position` on.
  void truncate_slot(std::int32_t slot, std::int32_t position);
  // The rows of `from` belong to `to` as well, then no longer to `from`: cells stay occupied.
  void hand_over_slot(std::int32_t from, std::int32_t to);
  // The rows of `from` before this position belong to `to` as well, which is empty.
  void share_head(std::int32_t from, std::int32_t position, std::int32_t to);
  // As hand_over_slot, but of the cells from this position on.
  void hand_over_tail(std::int32_t from, std::int32_t position, std::int32_t to);
  void clear_kv();

  std::uint32_t kv_cells() const;
  std::uint32_t layer_count() const;
  std::uint32_t embedding_length() const;
  std::uint32_t vocabulary_size() const;
  StageMemory memory() const;

 private:
  LlamaInstance() = default;
  Status start(const std::filesystem::path& file, const InstanceOptions& options);
  static bool on_tensor(ggml_tensor* tensor, bool ask, void* self);

  struct Free {
    void operator()(llama_model* model) const { llama_model_free(model); }
    void operator()(llama_context* context) const { llama_free(context); }
    void operator()(ggml_threadpool* pool) const;
  };
  bool is_first_ = true;
  bool is_last_ = true;
  std::unique_ptr<llama_model, Free> model_;
  std::unique_ptr<ggml_threadpool, Free> pool_;
  KernelLimitsScope limits_;
  std::unique_ptr<llama_context, Free> context_;  // freed first
  std::string output_name_;                       // of the tensor that leaves a stage that is not last
  std::vector<float>* captured_ = nullptr;        // where eval wants it
  std::size_t captured_rows_ = 0;
};

}  // namespace shoal::engine
