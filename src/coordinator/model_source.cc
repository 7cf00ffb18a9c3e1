#include "coordinator/model_source.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>

namespace shoal::coordinator {
namespace {

// Path, size and time of change of every file: when one differs, the hashes are made anew.
std::string hash_key(const model::Manifest& manifest, std::int64_t* changed_unix_seconds) {
  std::string key;
  for (const auto& file : manifest.files) {
    struct stat info = {};
    ::stat(file.c_str(), &info);
    key += fmt::format("{}:{}:{}.{}\n", std::filesystem::absolute(file).string(), info.st_size, info.st_mtim.tv_sec,
                       info.st_mtim.tv_nsec);
    *changed_unix_seconds = std::max<std::int64_t>(*changed_unix_seconds, info.st_mtim.tv_sec);
  }
  return key;
}

// llama.cpp rounds the KV up.
std::uint64_t kv_cells(const StageSettings& settings) {
  constexpr std::uint64_t kUnit = 256;
  return (settings.kv_tokens_total + kUnit - 1) / kUnit * kUnit;
}

// Weights of a stage's shard that are not its layers', holes included: llama.cpp takes memory for them.
std::uint64_t beyond_layers(const model::Manifest& manifest, LayerRange range) {
  std::uint64_t layers = 0;
  for (std::uint32_t i = range.first; i < range.last; ++i) layers += manifest.layer_bytes(i);
  auto cut = model::plan_cut(manifest, range);
  std::uint64_t all = cut.ok() ? cut->file_bytes : manifest.stage_weight_bytes(range);
  return all - std::min(all, layers);
}

}  // namespace

Result<std::unique_ptr<ModelSource>> ModelSource::open(const std::filesystem::path& path, Store& store,
                                                       const model::Progress& progress) {
  std::unique_ptr<ModelSource> source(new ModelSource);
  SHOAL_ASSIGN_OR_RETURN(source->manifest_, model::read_manifest(path));
  const auto& manifest = source->manifest_;
  if (manifest.shard_of) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is a shard with layers {} of a model; serve the whole model", path.string(),
                             manifest.shard_of->text())};
  }
  SHOAL_ASSIGN_OR_RETURN(source->vocabulary_, model::Vocabulary::load(manifest.files.front()));  // of a split set
  std::string key = hash_key(manifest, &source->changed_unix_seconds_);
  SHOAL_ASSIGN_OR_RETURN(auto known, store.find_hashes(key));
  if (known && known->size() == manifest.tensors.size()) {
    source->tensor_hashes_ = std::move(*known);
  } else {
    SHOAL_ASSIGN_OR_RETURN(source->tensor_hashes_, model::hash_tensors(manifest, progress));
    SHOAL_RETURN_IF_ERROR(store.keep_hashes(key, source->tensor_hashes_));
  }
  for (const auto& file : manifest.files) {
    SHOAL_ASSIGN_OR_RETURN(FileDescriptor descriptor, FileDescriptor::open_read(file));
    source->files_.push_back(std::move(descriptor));
  }
  return source;
}

Digest ModelSource::digest() const {
  Sha256 sha;
  // Each part behind its length, so that no two models read the same.
  const auto add = [&](ByteSpan bytes) { sha.update(as_bytes(fmt::format("{}:", bytes.size()))).update(bytes); };
  for (const auto& entry : manifest_.metadata) {
    add(as_bytes(entry.key));
    add(as_bytes(std::to_string(static_cast<unsigned>(entry.type))));
    add(entry.value);
  }
  for (std::size_t i = 0; i < manifest_.tensors.size(); ++i) {
    add(as_bytes(manifest_.tensors[i].name));
    add(tensor_hashes_[i].bytes);
  }
  return sha.finish();
}

Result<const model::ShardLayout*> ModelSource::layout(LayerRange range) {
  if (auto known = layouts_.find(range); known != layouts_.end()) return &known->second;
  SHOAL_ASSIGN_OR_RETURN(model::Cut cut, model::plan_cut(manifest_, range));
  model::ShardLayout layout = model::make_layout(manifest_, cut, tensor_hashes_);
  SHOAL_ASSERT(layout.pieces.size() == cut.sources.size());
  for (std::size_t i = 0; i < cut.sources.size(); ++i) pieces_[layout.pieces[i].sha256] = std::move(cut.sources[i]);
  return &layouts_.emplace(range, std::move(layout)).first->second;
}

Result<Bytes> ModelSource::read_piece(const Digest& sha256, std::uint64_t offset, std::uint32_t length) const {
  auto found = pieces_.find(sha256);
  if (found == pieces_.end()) return Error{ErrorCode::kNotFound, "no piece of this model has that hash"};
  const model::PieceSource& piece = found->second;
  std::uint64_t size = piece.made.empty() ? piece.size_bytes : piece.made.size();
  if (offset >= size) return Error{ErrorCode::kNotFound, "the piece ends before that offset"};
  Bytes bytes(std::min<std::uint64_t>(length, size - offset));
  if (!piece.made.empty()) {
    std::copy_n(piece.made.begin() + static_cast<std::ptrdiff_t>(offset), bytes.size(), bytes.begin());
    return bytes;
  }
  SHOAL_RETURN_IF_ERROR(files_[piece.file].read_at(piece.offset + offset, bytes, manifest_.files[piece.file]));
  return bytes;
}

std::uint64_t compute_bytes_estimate(const model::Manifest& manifest, const StageSettings& settings, bool is_last) {
  constexpr std::uint64_t kRows = kStepRowsMax + 1;  // llama.cpp's micro-batch
  auto key = [&](std::string_view name) {
    return manifest.find_uint(manifest.architecture + std::string(name)).value_or(0);
  };
  // Of activations, llama.cpp's allocator keeps a handful of rows alive at once: residual, norm, Q, K, V, gate, up,
  // down; of a mixture, those of every expert in use.
  std::uint64_t width =
      std::max<std::uint64_t>(manifest.embedding_length, key(".attention.head_count") * key(".attention.key_length"));
  std::uint64_t experts = key(".expert_used_count");
  std::uint64_t feed_forward = std::max(key(".feed_forward_length"), experts * key(".expert_feed_forward_length"));
  std::uint64_t floats = 8 * width + 2 * experts * manifest.embedding_length + 4 * feed_forward;
  // The attention mask in f16 and what goes with it, measured as 2.25 bytes; one more mask where there are windows.
  constexpr std::uint64_t kMaskBytes = 3;
  bool windows =
      std::find(manifest.sliding_window.begin(), manifest.sliding_window.end(), true) != manifest.sliding_window.end();
  std::uint64_t cells = kv_cells(settings);
  std::uint64_t bytes = kRows * (floats * sizeof(float) + cells * kMaskBytes * (windows ? 2 : 1));
  // A last stage computes a few rows of logits at a time: once in the graph and once in the output buffer.
  constexpr std::uint64_t kLogitRows = 16;
  std::uint64_t logit_rows = is_last ? std::max<std::uint64_t>(kLogitRows, settings.sequences_max + 1) : 0;
  return bytes + 2 * logit_rows * manifest.vocabulary_size * sizeof(float);
}

plan::ModelShape model_shape(const model::Manifest& manifest, const StageSettings& settings) {
  plan::ModelShape shape;
  std::uint32_t layers = manifest.layer_count;
  shape.layer_count = layers;
  shape.embedding_length = manifest.embedding_length;
  shape.kv_tokens_total = settings.kv_tokens_total;
  for (std::uint32_t i = 0; i < layers; ++i) {
    shape.layer_weight_bytes.push_back(manifest.layer_bytes(i));
    shape.layer_kv_bytes.push_back(manifest.stage_kv_bytes({i, i + 1}, kv_cells(settings), settings.kv_type));
  }
  shape.cut_allowed = manifest.cut_allowed;
  // What a stage has beyond its layers, by its place, as its shard would have it: the smallest first, middle and last
  // stage there can be.
  std::uint32_t first_end = 1;
  while (!manifest.cut_allowed[first_end]) ++first_end;
  std::uint32_t last_begin = layers - 1;
  while (!manifest.cut_allowed[last_begin]) --last_begin;
  std::uint64_t whole = beyond_layers(manifest, {0, layers}) + compute_bytes_estimate(manifest, settings, true);
  if (first_end == layers) {  // it cannot be cut
    shape.every_stage_bytes = whole;
    return shape;
  }
  auto stage = [&](LayerRange range) {
    return beyond_layers(manifest, range) + compute_bytes_estimate(manifest, settings, range.last == layers);
  };
  std::uint64_t first = stage({0, first_end});
  std::uint64_t last = stage({last_begin, layers});
  std::uint64_t every = first_end < last_begin ? stage({first_end, last_begin}) : std::min(first, last);
  shape.every_stage_bytes = every;
  shape.first_stage_bytes = first - std::min(every, first);
  shape.last_stage_bytes = std::max(last, whole - std::min(whole, shape.first_stage_bytes)) - every;
  return shape;
}

}  // namespace shoal::coordinator
