// The tensors of a model: whose they are, whether all are there, and where the model may be cut.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

#include "ggml.h"
#include "model/manifest_builder.h"

namespace shoal::model {
namespace {

constexpr std::string_view kLayerPrefix = "blk.";

// The N of "blk.N.something"; nullopt where the name is of another form.
std::optional<std::uint32_t> layer_of(std::string_view name) {
  if (!name.starts_with(kLayerPrefix)) return std::nullopt;
  std::string_view rest = name.substr(kLayerPrefix.size());
  std::uint32_t layer = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') return std::nullopt;
  return layer;
}

}  // namespace

Status ManifestBuilder::check_shape(std::string_view name, std::vector<std::uint64_t> shape, bool required) const {
  const Tensor* tensor = manifest.find_tensor(name);
  if (tensor == nullptr) {
    return required ? Status(corrupt(fmt::format("tensor {} is missing", in_quotes(name)))) : Status();
  }
  std::vector<std::uint64_t> found = tensor->shape;
  while (found.size() > shape.size() && found.back() == 1) found.pop_back();
  if (found != shape) {
    return corrupt(fmt::format("tensor {} has the shape [{}], expected [{}]", in_quotes(name), fmt::join(found, ", "),
                               fmt::join(shape, ", ")));
  }
  return {};
}

Status ManifestBuilder::read_tensors() {
  if (manifest.tensors.empty()) return corrupt("it holds a vocabulary and no weights");
  std::vector<bool> present(manifest.layer_count);
  for (Tensor& tensor : manifest.tensors) {
    tensor.layer = layer_of(tensor.name);
    if (tensor.layer) {
      if (*tensor.layer >= manifest.layer_count) {
        return corrupt(
            fmt::format("tensor {} is of no layer: there are {}", in_quotes(tensor.name), manifest.layer_count));
      }
      present[*tensor.layer] = true;
    } else if (tensor.name != "token_embd.weight" && !is_output_tensor(tensor.name) && !is_shared_tensor(tensor.name)) {
      return unsupported(fmt::format("it is not known which stage needs the tensor {}", in_quotes(tensor.name)));
    }
  }
  auto missing = std::find(present.begin(), present.end(), false);
  if (missing != present.end()) {
    return corrupt(fmt::format("layer {} of {} has no tensors", missing - present.begin(), manifest.layer_count));
  }
  std::uint64_t width = manifest.embedding_length;
  SHOAL_RETURN_IF_ERROR(check_shape("token_embd.weight", {width, manifest.vocabulary_size}, true));
  SHOAL_RETURN_IF_ERROR(check_shape("output_norm.weight", {width}, true));
  SHOAL_RETURN_IF_ERROR(
      check_shape("output.weight", {width, manifest.vocabulary_size}, architecture->output == OutputTensor::kRequired));
  manifest.tied_output = manifest.find_tensor("output.weight") == nullptr;
  return {};
}

Status ManifestBuilder::read_shard() {
  if (manifest.find(kShardFirstKey) == nullptr) return {};
  std::uint64_t first = manifest.find_uint(kShardFirstKey).value_or(UINT64_MAX);
  std::uint64_t last = manifest.find_uint(kShardLastKey).value_or(0);
  if (first >= last || last > kLayersMax || last - first != manifest.layer_count) {
    return corrupt("the layers its shoal.shard keys name are not those it has");
  }
  manifest.shard_of = LayerRange{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)};
  return read_token_rows();
}

Status ManifestBuilder::read_token_rows() {
  if (manifest.find(kShardRowsOffsetKey) == nullptr) return {};
  Tensor rows;
  rows.name = "token_embd.weight";
  rows.offset = manifest.find_uint(kShardRowsOffsetKey).value_or(UINT64_MAX);
  const std::uint64_t type = manifest.find_uint(kShardRowsTypeKey).value_or(UINT32_MAX);
  const std::uint64_t count = manifest.find_uint(kShardRowsCountKey).value_or(0);
  rows.type = static_cast<std::uint32_t>(std::min<std::uint64_t>(type, UINT32_MAX));
  rows.shape = {manifest.embedding_length, count};
  const auto bytes = count == 0 || count > INT32_MAX ? std::nullopt : tensor_bytes(rows.type, rows.shape);
  if (!bytes || *bytes > file_bytes || rows.offset > file_bytes - *bytes || rows.offset % manifest.alignment != 0) {
    return corrupt("its shoal.shard.token_rows keys name no rows inside the file");
  }
  rows.size_bytes = *bytes;
  manifest.token_rows = std::move(rows);
  return {};
}

void ManifestBuilder::read_quantization() {
  std::map<std::uint32_t, std::uint64_t> bytes_of_type;
  for (const Tensor& tensor : manifest.tensors) bytes_of_type[tensor.type] += tensor.size_bytes;
  auto most = std::max_element(bytes_of_type.begin(), bytes_of_type.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  manifest.quantization = ggml_type_name(static_cast<ggml_type>(most->first));
  for (char& c : manifest.quantization) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}

void ManifestBuilder::allow_cuts() {
  std::uint32_t layers = manifest.layer_count;
  manifest.cut_allowed.assign(layers + 1, false);
  manifest.cut_allowed.front() = manifest.cut_allowed.back() = true;
  if (manifest.shard_of) {
    manifest.cut_rule = fmt::format("none: this file is itself a shard of the layers {}", manifest.shard_of->text());
    return;
  }
  if (architecture->layers_with_own_scale == layers &&
      manifest.embedding_length / heads_of_first_layer != head_length) {
    manifest.cut_rule = fmt::format(
        "none: with {} layers this architecture scales attention in its own way, which a "
        "stage with fewer layers cannot be told",
        layers);
    return;
  }
  for (std::uint32_t i = 0; i <= layers; i += architecture->cut_period) manifest.cut_allowed[i] = true;
  manifest.cut_rule = architecture->cut_period == 1 ? "before any layer"
                                                    : fmt::format("before every {}th layer", architecture->cut_period);
  forbid_stages_without_window();
}

// A stage needs a layer with a sliding window where the model has one (check_windows): so it must begin with such a
// layer, and the first stage hold one.
void ManifestBuilder::forbid_stages_without_window() {
  const auto& windows = manifest.sliding_window;
  if (std::find(windows.begin(), windows.end(), false) == windows.end()) return;
  bool seen = false;
  for (std::uint32_t i = 0; i < manifest.layer_count; ++i) {
    if (i > 0 && !(windows[i] && seen)) manifest.cut_allowed[i] = false;
    seen = seen || windows[i];
  }
  manifest.cut_rule += " with a sliding window (a stage must have one)";
}

}  // namespace shoal::model
