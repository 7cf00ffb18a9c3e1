#include "engine/llama_instance.h"

#include <algorithm>
#include <exception>
#include <new>

#include <fmt/format.h>

#include "base/assert.h"
#include "engine/huge_weights.h"
#include "engine/llama_memory.h"
#include "engine/repack_buffer.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "model/llama_log.h"

namespace shoal::engine {
namespace {

constexpr std::uint32_t kBatchRows = 64;  // kStepRowsMax rounded up; sizes the graph buffers
static_assert(kStepRowsMax < kBatchRows);

bool speaks_of_memory(const std::string& message) {
  return message.find("alloc") != std::string::npos || message.find("memory") != std::string::npos;
}

Error load_error(const std::filesystem::path& file, const std::string& what) {
  std::string reason = model::take_llama_error();
  if (reason.empty()) reason = what;
  if (speaks_of_memory(reason)) {
    return {ErrorCode::kResourceExhausted,
            fmt::format("{}: too little memory for this stage ({}); give it fewer layers or a smaller context",
                        file.string(), reason)};
  }
  return {ErrorCode::kUnsupported, fmt::format("{}: llama.cpp cannot load it: {}", file.string(), reason)};
}

// Mapped weights cost nothing twice as long as they stay where they are in the file; repacked ones would leave their
// originals resident beside them, so then the file is read instead.
bool in_place(const InstanceOptions& options) {
  return options.kernels.exact && options.kernels.repacked_tensors.empty();
}

llama_model_params model_params(const InstanceOptions& options,
                                std::vector<llama_model_tensor_buft_override>& overrides) {
  llama_model_params params = llama_model_default_params();
  static ggml_backend_dev_t no_devices[] = {nullptr};
  params.devices = no_devices;  // the CPU alone
  params.n_gpu_layers = 0;
  params.use_extra_bufts = !options.kernels.exact;
  for (const std::string& pattern : options.kernels.repacked_tensors) {
    overrides.push_back({pattern.c_str(), repack_buffer_type()});
  }
  overrides.push_back({nullptr, nullptr});
  params.tensor_buft_overrides = overrides.data();
  params.load_mode = in_place(options) ? LLAMA_LOAD_MODE_MMAP : LLAMA_LOAD_MODE_NONE;
  params.progress_callback = [](float share, void* data) {
    const auto& progress = static_cast<const InstanceOptions*>(data)->progress;
    return !progress || progress(share);
  };
  params.progress_callback_user_data = const_cast<InstanceOptions*>(&options);
  return params;
}

llama_context_params context_params(const InstanceOptions& options) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = options.settings.kv_tokens_total;
  params.n_batch = kBatchRows;
  params.n_ubatch = kBatchRows;
  // One unified KV for all sequences: they share its cells, and rows of any mix of sequences make one graph. One slot
  // more than sequences, for the cells of those that are gone (kv_slots.h).
  params.n_seq_max = options.settings.sequences_max + 1;
  params.kv_unified = true;
  // llama.cpp keeps a row of logits for each slot at least.
  params.n_outputs_max = std::max(options.is_last ? kLogitRowsMax : kBatchRows, params.n_seq_max);
  params.n_threads = static_cast<std::int32_t>(options.threads);
  params.n_threads_batch = params.n_threads;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.type_k = options.settings.kv_type == KvType::kQ8_0 ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
  params.type_v = params.type_k;
  // A sliding window's cells would be taken again in an order that depends on the micro-batches; kept, they are masked.
  params.swa_full = true;
  params.offload_kqv = false;
  params.op_offload = false;
  params.no_perf = true;
  return params;
}

// Without polling, workers sleep between graphs: an idle stage costs no processor time.
ggml_threadpool* new_pool(const InstanceOptions& options) {
  auto params = ggml_threadpool_params_default(static_cast<int>(options.threads));
  params.poll = 0;
  for (std::uint32_t cpu : options.pinned_cpus) {
    if (cpu < GGML_MAX_N_THREADS) params.cpumask[cpu] = true;
  }
  return ggml_threadpool_new(&params);
}

}  // namespace

void LlamaInstance::Free::operator()(ggml_threadpool* pool) const {
  ggml_threadpool_free(pool);
}

LlamaInstance::~LlamaInstance() = default;

Result<std::unique_ptr<LlamaInstance>> LlamaInstance::load(const std::filesystem::path& file,
                                                           const InstanceOptions& options) {
  model::route_llama_log();
  model::take_llama_error();
  std::unique_ptr<LlamaInstance> instance(new LlamaInstance);
  try {
    SHOAL_RETURN_IF_ERROR(instance->start(file, options));
  } catch (const std::bad_alloc&) {
    return load_error(file, "out of memory");
  } catch (const std::exception& exception) {
    return load_error(file, exception.what());
  }
  return instance;
}

Status LlamaInstance::start(const std::filesystem::path& file, const InstanceOptions& options) {
  is_first_ = options.is_first;
  is_last_ = options.is_last;
  bool cancelled = false;
  InstanceOptions watched = options;
  watched.progress = [&](float share) { return !(cancelled = options.progress && !options.progress(share)); };
  std::vector<llama_model_tensor_buft_override> overrides;
  model_.reset(llama_model_load_from_file(file.c_str(), model_params(watched, overrides)));
  if (cancelled) return Error{ErrorCode::kCancelled, fmt::format("loading {} was abandoned", file.string())};
  if (!model_) return load_error(file, "no reason given");
  if (llama_model_is_recurrent(model_.get()) || llama_model_is_hybrid(model_.get()) ||
      llama_model_has_encoder(model_.get())) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: layers with a recurrent state or an encoder cannot be a stage", file.string())};
  }
  output_name_ = fmt::format("l_out-{}", llama_model_n_layer(model_.get()) - 1);

  if (in_place(options)) move_weights_to_huge_pages(model_.get(), is_last_);

  pool_.reset(new_pool(options));
  if (options.kernels.exact) {
    SHOAL_ASSIGN_OR_RETURN(limits_, KernelLimitsScope::limit(pool_.get(), {options.kernels.tinyblas_types}));
  }
  llama_context_params params = context_params(options);
  if (!is_last_) {
    params.cb_eval = on_tensor;
    params.cb_eval_user_data = this;
  }
  context_.reset(llama_init_from_model(model_.get(), params));
  if (!context_) return load_error(file, "no context");
  llama_attach_threadpool(context_.get(), pool_.get(), pool_.get());
  return {};
}

// llama.cpp asks for every tensor whether we want to see it, and shows it once it is computed. Returning false then
// ends the graph: what follows (output norm, logits) is the last stage's work. ggml_backend_sched just leaves its loop.
bool LlamaInstance::on_tensor(ggml_tensor* tensor, bool ask, void* self) {
  auto& instance = *static_cast<LlamaInstance*>(self);
  if (instance.output_name_ != tensor->name) return !ask;
  if (ask) return true;
  if (instance.captured_ != nullptr && tensor->type == GGML_TYPE_F32 &&
      tensor->ne[0] == static_cast<std::int64_t>(instance.embedding_length()) && ggml_is_contiguous(tensor)) {
    auto& captured = *instance.captured_;
    const std::size_t before = captured.size();
    captured.resize(before + static_cast<std::size_t>(ggml_nelements(tensor)));
    ggml_backend_tensor_get(tensor, captured.data() + before, 0, ggml_nbytes(tensor));
    instance.captured_rows_ += static_cast<std::size_t>(ggml_nrows(tensor));
  }
  return false;
}

Status LlamaInstance::eval(std::span<const EvalRow> rows, std::vector<float>* hidden) {
  SHOAL_ASSERT(!rows.empty() && rows.size() <= kStepRowsMax && is_last_ == (hidden == nullptr));
  Token tokens[kStepRowsMax];
  llama_pos positions[kStepRowsMax];
  llama_seq_id slots[kStepRowsMax];
  llama_seq_id* slot_lists[kStepRowsMax];
  std::int32_t slot_counts[kStepRowsMax];
  std::int8_t outputs[kStepRowsMax];
  std::vector<float> embeddings;
  // Rows that lie one behind the other are read where they are; llama.cpp makes its own copy of what it computes.
  bool in_place = !is_first_;
  for (std::size_t i = 1; i < rows.size() && in_place; ++i)
    in_place = rows[i].hidden == rows[0].hidden + i * embedding_length();
  if (!is_first_ && !in_place) embeddings.reserve(rows.size() * embedding_length());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    tokens[i] = rows[i].token;
    positions[i] = rows[i].position;
    slots[i] = rows[i].slot;
    slot_lists[i] = &slots[i];
    slot_counts[i] = 1;
    // Not last: all rows are outputs, or the last layer would drop the others.
    outputs[i] = !is_last_ || rows[i].output;
    if (!is_first_ && !in_place)
      embeddings.insert(embeddings.end(), rows[i].hidden, rows[i].hidden + embedding_length());
  }
  const llama_batch batch = {static_cast<std::int32_t>(rows.size()),
                             is_first_ ? tokens : nullptr,
                             is_first_  ? nullptr
                             : in_place ? const_cast<float*>(rows[0].hidden)  // only read
                                        : embeddings.data(),
                             positions,
                             slot_counts,
                             slot_lists,
                             outputs};
  captured_ = hidden;
  captured_rows_ = 0;
  const std::size_t hidden_before = hidden == nullptr ? 0 : hidden->size();
  int code = -3;
  std::string thrown;
  model::take_llama_error();
  try {
    code = llama_decode(context_.get(), batch);
    llama_synchronize(context_.get());
  } catch (const std::exception& exception) {
    thrown = exception.what();
  }
  captured_ = nullptr;
  if (code == 0 && (is_last_ || captured_rows_ == rows.size())) return {};

  for (const EvalRow& row : rows) truncate_slot(row.slot, row.position);
  if (hidden != nullptr) hidden->resize(hidden_before);
  if (code == 0) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("this architecture's graph has no tensor {} with a row for each input row; "
                             "its layers cannot be cut into stages",
                             output_name_)};
  }
  std::string reason = model::take_llama_error();
  if (reason.empty()) reason = thrown.empty() ? fmt::format("llama_decode returned {}", code) : thrown;
  return Error{code == 1 ? ErrorCode::kResourceExhausted : ErrorCode::kInternal,
               fmt::format("a step of {} rows failed: {}", rows.size(), reason)};
}

const float* LlamaInstance::logits(std::size_t index) const {
  return llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(index));
}

Result<Bytes> LlamaInstance::save_slot(std::int32_t slot) {
  try {
    Bytes payload(llama_state_seq_get_size(context_.get(), slot));
    payload.resize(llama_state_seq_get_data(context_.get(), payload.data(), payload.size(), slot));
    if (payload.empty()) return Error{ErrorCode::kInternal, "llama.cpp gave no KV: " + model::take_llama_error()};
    return payload;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResourceExhausted, "too little memory to copy the KV of a sequence"};
  } catch (const std::exception& exception) {
    return Error{ErrorCode::kInternal, fmt::format("llama.cpp gave no KV: {}", exception.what())};
  }
}

Status LlamaInstance::restore_slot(std::int32_t slot, ByteSpan payload) {
  std::string reason;
  try {
    if (llama_state_seq_set_data(context_.get(), payload.data(), payload.size(), slot) == payload.size()) return {};
    reason = model::take_llama_error();
  } catch (const std::exception& exception) {
    reason = exception.what();
  }
  truncate_slot(slot, 0);
  return Error{ErrorCode::kCorrupt, "llama.cpp refuses this KV: " + reason};
}

void LlamaInstance::truncate_slot(std::int32_t slot, std::int32_t position) {
  llama_memory_seq_rm(llama_get_memory(context_.get()), slot, position, -1);
}

void LlamaInstance::hand_over_slot(std::int32_t from, std::int32_t to) {
  hand_over_tail(from, -1, to);
}

void LlamaInstance::share_head(std::int32_t from, std::int32_t position, std::int32_t to) {
  llama_memory_seq_cp(llama_get_memory(context_.get()), from, to, 0, position);
}

void LlamaInstance::hand_over_tail(std::int32_t from, std::int32_t position, std::int32_t to) {
  llama_memory_seq_cp(llama_get_memory(context_.get()), from, to, position, -1);
  llama_memory_seq_rm(llama_get_memory(context_.get()), from, position, -1);
}

void LlamaInstance::clear_kv() {
  llama_memory_clear(llama_get_memory(context_.get()), false);
}

std::uint32_t LlamaInstance::kv_cells() const {
  return llama_n_ctx(context_.get());
}
std::uint32_t LlamaInstance::layer_count() const {
  return static_cast<std::uint32_t>(llama_model_n_layer(model_.get()));
}
std::uint32_t LlamaInstance::embedding_length() const {
  return static_cast<std::uint32_t>(llama_model_n_embd(model_.get()));
}
std::uint32_t LlamaInstance::vocabulary_size() const {
  return static_cast<std::uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(model_.get())));
}

StageMemory LlamaInstance::memory() const {
  const std::uint32_t rows = std::max(is_last_ ? kLogitRowsMax : kStepRowsMax, llama_n_seq_max(context_.get()));
  return measure_memory(context_.get(), rows, vocabulary_size());
}

}  // namespace shoal::engine
