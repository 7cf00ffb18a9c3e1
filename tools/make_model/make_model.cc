#include "make_model/make_model.h"

#include <array>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "gguf.h"
#include "make_model/shape.h"
#include "make_model/weights.h"

namespace shoal::tools {
namespace fs = std::filesystem;
namespace {

using Gguf = std::unique_ptr<gguf_context, decltype(&gguf_free)>;
using GgmlContext = std::unique_ptr<ggml_context, decltype(&ggml_free)>;

Result<Gguf> load_vocabulary(const fs::path& path) {
  gguf_init_params params{.no_alloc = true, .ctx = nullptr};
  Gguf gguf(gguf_init_from_file(path.c_str(), params), &gguf_free);
  if (gguf == nullptr) return Error{ErrorCode::kNotFound, path.string() + " cannot be read as a GGUF"};
  if (gguf_find_key(gguf.get(), "tokenizer.ggml.tokens") < 0) {
    return Error{ErrorCode::kInvalidArgument, path.string() + " holds no tokens; give a vocabulary with --vocab"};
  }
  // Only the tokenizer is taken over; what is left is the start of the new model's metadata.
  std::vector<std::string> others;
  for (std::int64_t i = 0; i < gguf_get_n_kv(gguf.get()); ++i) {
    std::string key = gguf_get_key(gguf.get(), i);
    if (!key.starts_with("tokenizer.")) others.push_back(key);
  }
  for (const std::string& key : others) gguf_remove_key(gguf.get(), key.c_str());
  return gguf;
}

void set_metadata(gguf_context* gguf, const ModelOptions& o, std::uint32_t vocabulary_size) {
  auto key = [&](std::string_view rest) { return fmt::format("{}.{}", o.architecture, rest); };
  auto number = [&](std::string_view rest, std::uint32_t value) { gguf_set_val_u32(gguf, key(rest).c_str(), value); };
  auto real = [&](std::string_view rest, float value) { gguf_set_val_f32(gguf, key(rest).c_str(), value); };
  gguf_set_val_str(gguf, "general.architecture", o.architecture.c_str());
  gguf_set_val_str(gguf, "general.name",
                   fmt::format("random {} {}x{} {}", o.architecture, o.layers, o.embedding, o.type).c_str());
  gguf_set_val_u32(gguf, "general.quantization_version", GGML_QNT_VERSION);
  number("block_count", o.layers);
  number("context_length", o.context);
  number("embedding_length", o.embedding);
  number("feed_forward_length", o.feed_forward);
  number("attention.head_count", o.heads);
  number("attention.head_count_kv", o.kv_heads);
  number("attention.key_length", o.head_length);
  number("attention.value_length", o.head_length);
  number("rope.dimension_count", o.head_length);
  number("vocab_size", vocabulary_size);
  real("attention.layer_norm_rms_epsilon", 1e-5f);
  real("rope.freq_base", 10000.0f);
  if (o.experts > 0) {
    number("expert_count", o.experts);
    number("expert_used_count", o.experts_used);
    if (o.architecture == "qwen3moe") number("expert_feed_forward_length", o.feed_forward);
  }
  if (o.architecture == "gemma3") {
    number("attention.sliding_window", o.window);
    real("rope.freq_base_swa", 10000.0f);
    real("rope.freq_base", 1000000.0f);
  }
  if (o.architecture == "phi3") number("rope.scaling.original_context_length", o.context);
  if (!o.chat_template.empty()) gguf_set_val_str(gguf, "tokenizer.chat_template", o.chat_template.c_str());
}

// One file of the set: its header through ggml, then its tensors one after the other.
Status write_part(gguf_context* gguf, const std::vector<TensorShape>& shapes, const ModelOptions& options,
                  const fs::path& path) {
  GgmlContext context(
      ggml_init({.mem_size = ggml_tensor_overhead() * (shapes.size() + 1), .mem_buffer = nullptr, .no_alloc = true}),
      &ggml_free);
  for (const TensorShape& shape : shapes) {
    ggml_tensor* tensor =
        ggml_new_tensor(context.get(), shape.type, static_cast<int>(shape.extents.size()), shape.extents.data());
    ggml_set_name(tensor, shape.name.c_str());
    gguf_add_tensor(gguf, tensor);
  }
  if (!gguf_write_to_file(gguf, path.c_str(), true)) {
    return Error{ErrorCode::kInternal, "cannot write " + path.string()};
  }
  SHOAL_ASSIGN_OR_RETURN(FileDescriptor file, FileDescriptor::open_write(path));
  SHOAL_ASSIGN_OR_RETURN(std::uint64_t start, file.size(path));
  std::uint64_t end = start;
  for (const TensorShape& shape : shapes) {
    std::int64_t id = gguf_find_tensor(gguf, shape.name.c_str());
    std::uint64_t offset = start + gguf_get_tensor_offset(gguf, id);
    SHOAL_RETURN_IF_ERROR(write_weights(shape, options.seed, options.threads, file, offset, path));
    end = offset + GGML_PAD(gguf_get_tensor_size(gguf, id), gguf_get_alignment(gguf));
  }
  if (::ftruncate(file.get(), static_cast<off_t>(end)) != 0) {
    return Error{ErrorCode::kResourceExhausted, "cannot pad " + path.string()};
  }
  return {};
}

std::uint64_t bytes_of(const TensorShape& shape) {
  std::uint64_t size = ggml_row_size(shape.type, shape.extents[0]);
  for (std::size_t i = 1; i < shape.extents.size(); ++i) size *= static_cast<std::uint64_t>(shape.extents[i]);
  return size;
}

// Runs of tensors of about the same bytes.
std::vector<std::vector<TensorShape>> distribute(std::vector<TensorShape> shapes, std::uint32_t parts) {
  std::uint64_t total = 0, before = 0;
  for (const TensorShape& shape : shapes) total += bytes_of(shape);
  std::vector<std::vector<TensorShape>> result(parts);
  for (TensorShape& shape : shapes) {
    std::uint64_t part = std::min<std::uint64_t>(before * parts / std::max<std::uint64_t>(total, 1), parts - 1);
    before += bytes_of(shape);
    result[part].push_back(std::move(shape));
  }
  return result;
}

}  // namespace

Result<ModelOptions> model_preset(std::string_view name) {
  ModelOptions options;  // tiny: the defaults
  if (name == "tiny") return options;
  if (name == "llama-1.1b") {
    options.layers = 22;
    options.embedding = 2048;
    options.heads = 32;
    options.kv_heads = 4;
    options.feed_forward = 5632;
    return options;
  }
  if (name == "llama2-7b") {
    options.layers = 32;
    options.embedding = 4096;
    options.heads = 32;
    options.kv_heads = 32;
    options.feed_forward = 11008;
    return options;
  }
  return Error{ErrorCode::kNotFound, fmt::format("there is no preset {}; take tiny, llama-1.1b or llama2-7b", name)};
}

std::string vocabulary_name(std::string_view architecture) {
  if (architecture == "qwen3" || architecture == "qwen3moe") return "ggml-vocab-qwen2.gguf";
  if (architecture == "phi3") return "ggml-vocab-phi-3.gguf";
  return "ggml-vocab-llama-spm.gguf";
}

Result<std::vector<fs::path>> make_model(const ModelOptions& wanted, const fs::path& out) {
  SHOAL_ASSIGN_OR_RETURN(ModelOptions options, complete_options(wanted));
  SHOAL_ASSIGN_OR_RETURN(Gguf first, load_vocabulary(options.vocabulary));
  std::int64_t tokens_key = gguf_find_key(first.get(), "tokenizer.ggml.tokens");
  auto vocabulary_size = static_cast<std::uint32_t>(gguf_get_arr_n(first.get(), tokens_key));
  set_metadata(first.get(), options, vocabulary_size);

  std::vector<TensorShape> shapes = tensor_shapes(options, vocabulary_size);
  auto tensor_count = static_cast<std::int32_t>(shapes.size());
  auto parts = distribute(std::move(shapes), options.split);
  std::vector<fs::path> files;
  for (std::uint32_t i = 0; i < options.split; ++i) {
    Gguf empty(gguf_init_empty(), &gguf_free);
    gguf_context* gguf = i == 0 ? first.get() : empty.get();
    fs::path path = out;
    if (options.split > 1) {
      if (path.extension() == ".gguf") path.replace_extension();
      path += fmt::format("-{:05}-of-{:05}.gguf", i + 1, options.split);
      gguf_set_val_u16(gguf, "split.no", static_cast<std::uint16_t>(i));
      gguf_set_val_u16(gguf, "split.count", static_cast<std::uint16_t>(options.split));
      gguf_set_val_i32(gguf, "split.tensors.count", tensor_count);
    }
    std::error_code error;
    fs::remove(path, error);
    SHOAL_RETURN_IF_ERROR(write_part(gguf, parts[i], options, path));
    files.push_back(path);
  }
  return files;
}

}  // namespace shoal::tools
