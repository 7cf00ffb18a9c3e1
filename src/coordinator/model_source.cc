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

}  // namespace

Result<std::unique_ptr<ModelSource>> ModelSource::open(const std::filesystem::path& path, Store& store,
                                                       const std::function<void(std::uint64_t)>& progress) {
  std::unique_ptr<ModelSource> source(new ModelSource);
  SHOAL_ASSIGN_OR_RETURN(source->manifest_, model::read_manifest(path));
  const auto& manifest = source->manifest_;
  if (manifest.shard_of) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is a shard with layers {} of a model; serve the whole model", path.string(),
                             manifest.shard_of->text())};
  }
  SHOAL_ASSIGN_OR_RETURN(source->vocabulary_, model::Vocabulary::load(path));
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
  constexpr std::uint64_t kRows = kStepRowsMax + 1;
  // Of activations, llama.cpp's allocator keeps a handful of rows alive at once: residual, norm, Q, K, V, gate, up,
  // down.
  std::uint64_t feed_forward = manifest.find_uint(manifest.architecture + ".feed_forward_length").value_or(0);
  std::uint64_t experts =
      std::max<std::uint64_t>(1, manifest.find_uint(manifest.architecture + ".expert_used_count").value_or(1));
  std::uint64_t floats = 8ull * manifest.embedding_length + 4 * feed_forward * experts;
  if (is_last) floats += manifest.vocabulary_size;
  constexpr std::uint64_t kMaskBytes = sizeof(float) + 2;  // the f32 mask and its f16 copy
  return kRows * (floats * sizeof(float) + settings.kv_tokens_total * kMaskBytes);
}

plan::ModelShape model_shape(const model::Manifest& manifest, const StageSettings& settings) {
  plan::ModelShape shape;
  std::uint32_t layers = manifest.layer_count;
  shape.layer_count = layers;
  shape.embedding_length = manifest.embedding_length;
  shape.kv_tokens_total = settings.kv_tokens_total;
  for (std::uint32_t i = 0; i < layers; ++i) {
    shape.layer_weight_bytes.push_back(manifest.layer_bytes(i));
    shape.layer_kv_bytes.push_back(manifest.stage_kv_bytes({i, i + 1}, settings.kv_tokens_total, settings.kv_type));
  }
  // What a stage has beyond its layers, by its place; a middle stage exists from three layers on.
  auto beyond_layer = [&](std::uint32_t i) {
    return manifest.stage_weight_bytes({i, i + 1}) -
           std::min(manifest.layer_bytes(i), manifest.stage_weight_bytes({i, i + 1}));
  };
  std::uint64_t every = layers > 2 ? beyond_layer(1) : 0;
  shape.every_stage_bytes = every + compute_bytes_estimate(manifest, settings, false);
  shape.first_stage_bytes = beyond_layer(0) - std::min(every, beyond_layer(0));
  shape.last_stage_bytes = beyond_layer(layers - 1) - std::min(every, beyond_layer(layers - 1)) +
                           compute_bytes_estimate(manifest, settings, true) -
                           compute_bytes_estimate(manifest, settings, false);
  shape.cut_allowed = manifest.cut_allowed;
  return shape;
}

}  // namespace shoal::coordinator
