#include "model/manifest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "ggml.h"
#include "model/architecture.h"

namespace shoal::model {
namespace fs = std::filesystem;
namespace {

// llama.cpp's own limits (llama-hparams.h), on which it asserts.
constexpr std::uint64_t kLayersMax = 512;
constexpr std::uint64_t kExpertsMax = 1024;
// Far above any model; they keep products of them inside 64 bits.
constexpr std::uint64_t kHeadsMax = 4096;
constexpr std::uint64_t kHeadLengthMax = 65536;
constexpr std::uint64_t kWidthMax = 1u << 20;
constexpr std::uint64_t kSplitPartsMax = 10000;
constexpr std::string_view kLayerPrefix = "blk.";

std::string printable(std::string text) {
  constexpr std::size_t kLongest = 256;
  if (text.size() > kLongest) text.resize(kLongest);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

// Everything below reports through this: one file, one kind of error.
struct Builder {
  Manifest manifest;
  std::string file;
  std::uint64_t file_bytes = 0;  // of the first part
  const Architecture* architecture = nullptr;
  std::uint32_t heads_of_first_layer = 1;
  std::uint32_t head_length = 0;

  Error corrupt(std::string what) const {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is corrupt: {}", file, what)};
  }
  Error unsupported(std::string what) const {
    return Error{ErrorCode::kUnsupported, fmt::format("{} cannot be run by Shoal: {}", file, what)};
  }
  std::string key(std::string_view rest) const { return fmt::format("{}.{}", manifest.architecture, rest); }

  // A whole number in [low, high]; `fallback` where the key is missing, an error where there is none.
  Result<std::uint32_t> number(std::string_view rest, std::uint64_t low, std::uint64_t high,
                               std::optional<std::uint64_t> fallback = {}) const;
  // The same for a key with one value for all layers or one for each.
  Result<std::vector<std::uint32_t>> per_layer(std::string_view rest, std::uint64_t low, std::uint64_t high,
                                               std::vector<std::uint32_t> fallback) const;
  Status read_names();
  Status read_hyperparameters();
  Status check_experts() const;
  Status check_rope() const;
  Status read_attention();
  Status read_windows();
  Status check_windows() const;
  Status read_tensors();
  Status check_shape(std::string_view tensor, std::vector<std::uint64_t> shape, bool required) const;
  Status read_shard();
  Status read_token_rows();
  void read_quantization();
  void allow_cuts();
  void forbid_stages_without_window();
  Status build();
};

Result<std::uint32_t> Builder::number(std::string_view rest, std::uint64_t low, std::uint64_t high,
                                      std::optional<std::uint64_t> fallback) const {
  const MetadataEntry* entry = manifest.find(key(rest));
  if (entry == nullptr && !fallback) return corrupt(fmt::format("{} is missing", in_quotes(key(rest))));
  std::optional<std::uint64_t> value = entry == nullptr ? fallback : entry->as_uint();
  if (!value || *value < low || *value > high) {
    return corrupt(fmt::format("{} is not a whole number from {} to {}", in_quotes(key(rest)), low, high));
  }
  return static_cast<std::uint32_t>(*value);
}

Result<std::vector<std::uint32_t>> Builder::per_layer(std::string_view rest, std::uint64_t low, std::uint64_t high,
                                                      std::vector<std::uint32_t> fallback) const {
  const MetadataEntry* entry = manifest.find(key(rest));
  if (entry == nullptr) return fallback;
  if (entry->type != GgufType::kArray) {
    SHOAL_ASSIGN_OR_RETURN(std::uint32_t value, number(rest, low, high));
    return std::vector<std::uint32_t>(manifest.layer_count, value);
  }
  if (entry->as_array()->count != manifest.layer_count) {
    return corrupt(fmt::format("{} has {} values for {} layers", in_quotes(key(rest)), entry->as_array()->count,
                               manifest.layer_count));
  }
  std::vector<std::uint32_t> values;
  for (std::uint32_t i = 0; i < manifest.layer_count; ++i) {
    std::optional<std::uint64_t> value = entry->element_uint(i);
    if (!value || *value < low || *value > high) {
      return corrupt(
          fmt::format("{} of layer {} is not a whole number from {} to {}", in_quotes(key(rest)), i, low, high));
    }
    values.push_back(static_cast<std::uint32_t>(*value));
  }
  return values;
}

Status Builder::read_names() {
  std::optional<std::string> name = manifest.find_string("general.architecture");
  if (!name) return corrupt("'general.architecture' is missing");
  architecture = find_architecture(*name);
  if (architecture == nullptr) {
    return unsupported(fmt::format("its architecture {} cannot be cut into stages; these can: {}", in_quotes(*name),
                                   architecture_names()));
  }
  manifest.architecture = *name;
  manifest.name = printable(manifest.find_string("general.name").value_or(manifest.files[0].stem().string()));
  manifest.tokenizer = printable(manifest.find_string("tokenizer.ggml.model").value_or("no_vocab"));
  return {};
}

Status Builder::read_hyperparameters() {
  SHOAL_ASSIGN_OR_RETURN(manifest.layer_count, number("block_count", 1, kLayersMax));
  SHOAL_ASSIGN_OR_RETURN(manifest.embedding_length, number("embedding_length", 1, kWidthMax));
  SHOAL_ASSIGN_OR_RETURN(manifest.context_length, number("context_length", 1, INT32_MAX));
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t predictors, number("nextn_predict_layers", 0, kLayersMax, 0));
  if (predictors != 0) return unsupported("it has layers for multi-token prediction, which no stage can hold yet");

  const MetadataEntry* tokens = manifest.find("tokenizer.ggml.tokens");
  if (tokens != nullptr) {
    std::optional<MetadataEntry::Array> array = tokens->as_array();
    if (!array || array->element != GgufType::kString || array->count == 0 || array->count > INT32_MAX) {
      return corrupt("'tokenizer.ggml.tokens' is not a list of tokens");
    }
    manifest.vocabulary_size = static_cast<std::uint32_t>(array->count);
  } else {
    SHOAL_ASSIGN_OR_RETURN(manifest.vocabulary_size, number("vocab_size", 1, INT32_MAX));
  }
  return {};
}

// llama.cpp asserts on all of this in load_hparams.
Status Builder::check_experts() const {
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t experts, number("expert_count", 0, kExpertsMax, 0));
  SHOAL_ASSIGN_OR_RETURN(auto used, per_layer("expert_used_count", 0, experts, {0}));
  std::uint32_t used_max = *std::max_element(used.begin(), used.end());
  if ((experts == 0) != (used_max == 0)) return corrupt("'expert_count' and 'expert_used_count' do not fit together");
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t groups, number("expert_group_count", 0, experts == 0 ? 0 : experts - 1, 0));
  if (groups > 1) {
    SHOAL_ASSIGN_OR_RETURN(std::uint32_t groups_used, number("expert_group_used_count", 0, groups, 0));
    if (experts % groups != 0 || groups_used == 0 || groups_used == groups) {
      return corrupt("its groups of experts do not fit together");
    }
  }
  return {};
}

// llama.cpp's graphs assert that rotation covers no more than a head, and its loader knows these kinds of scaling.
Status Builder::check_rope() const {
  SHOAL_RETURN_IF_ERROR([&]() -> Status {
    SHOAL_ASSIGN_OR_RETURN(std::uint32_t rotated, number("rope.dimension_count", 0, head_length, head_length));
    return rotated % 2 == 0 ? Status() : corrupt("'rope.dimension_count' is odd");
  }());
  const MetadataEntry* scaling = manifest.find(key("rope.scaling.type"));
  if (scaling == nullptr) return {};
  constexpr std::array<std::string_view, 4> kKinds = {"none", "linear", "yarn", "longrope"};
  std::string kind = scaling->as_string().value_or("");
  if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
    return corrupt(fmt::format("'rope.scaling.type' {} is unknown", in_quotes(kind)));
  }
  return {};
}

Status Builder::read_attention() {
  std::uint32_t layers = manifest.layer_count;
  SHOAL_ASSIGN_OR_RETURN(auto heads, per_layer("attention.head_count", 1, kHeadsMax, {}));
  if (heads.empty()) return corrupt(fmt::format("{} is missing", in_quotes(key("attention.head_count"))));
  SHOAL_ASSIGN_OR_RETURN(auto kv_heads, per_layer("attention.head_count_kv", 1, kHeadsMax, heads));
  // The default that llama.cpp takes is that of the first layer for all.
  std::uint64_t length = manifest.embedding_length / heads[0];
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t key_length, number("attention.key_length", 1, kHeadLengthMax, length));
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t value_length, number("attention.value_length", 1, kHeadLengthMax, length));
  if (key_length != value_length) {
    return corrupt(
        "'attention.key_length' and 'attention.value_length' differ, which this architecture does not allow");
  }
  for (std::uint32_t i = 0; i < layers; ++i) {
    if (heads[i] % kv_heads[i] != 0) {
      return corrupt(fmt::format("layer {} has {} heads over {} key-value heads", i, heads[i], kv_heads[i]));
    }
    manifest.kv_values_per_token.push_back(kv_heads[i] * (key_length + value_length));
  }
  heads_of_first_layer = heads[0];
  head_length = key_length;
  return check_rope();
}

Status Builder::read_windows() {
  if (architecture->window_period == 0) return {};
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t size, number("attention.sliding_window", 0, INT32_MAX, 0));
  if (architecture->window_needs_size && size == 0) return {};
  const MetadataEntry* pattern = manifest.find(key("attention.sliding_window_pattern"));
  if (pattern != nullptr && pattern->type == GgufType::kArray) {
    SHOAL_ASSIGN_OR_RETURN(auto flags, per_layer("attention.sliding_window_pattern", 0, UINT32_MAX, {}));
    for (std::uint32_t flag : flags) manifest.sliding_window.push_back(flag != 0);
    return check_windows();
  }
  // llama.cpp's set_swa_pattern: period 0 is windows everywhere, else the last layer of each period has none.
  SHOAL_ASSIGN_OR_RETURN(std::uint32_t period,
                         number("attention.sliding_window_pattern", 0, kLayersMax, architecture->window_period));
  for (std::uint32_t i = 0; i < manifest.layer_count; ++i) {
    manifest.sliding_window.push_back(period == 0 || i % period < period - 1);
  }
  return check_windows();
}

// llama.cpp ends the process where windows are on and no layer has one (hparams.is_swa_any in create_memory).
Status Builder::check_windows() const {
  const auto& windows = manifest.sliding_window;
  if (std::find(windows.begin(), windows.end(), true) != windows.end()) return {};
  return unsupported("it has a sliding window and no layer that uses it, which llama.cpp cannot load");
}

Status Builder::check_shape(std::string_view name, std::vector<std::uint64_t> shape, bool required) const {
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

// The N of "blk.N.something"; nullopt where the name is of another form.
std::optional<std::uint32_t> layer_of(std::string_view name) {
  if (!name.starts_with(kLayerPrefix)) return std::nullopt;
  std::string_view rest = name.substr(kLayerPrefix.size());
  std::uint32_t layer = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') return std::nullopt;
  return layer;
}

bool is_output_tensor(std::string_view name) {
  return name == "output.weight" || name == "output.bias";
}

Status Builder::read_tensors() {
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

Status Builder::read_shard() {
  if (manifest.find(kShardFirstKey) == nullptr) return {};
  std::uint64_t first = manifest.find_uint(kShardFirstKey).value_or(UINT64_MAX);
  std::uint64_t last = manifest.find_uint(kShardLastKey).value_or(0);
  if (first >= last || last > kLayersMax || last - first != manifest.layer_count) {
    return corrupt("the layers its shoal.shard keys name are not those it has");
  }
  manifest.shard_of = LayerRange{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)};
  return read_token_rows();
}

Status Builder::read_token_rows() {
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

void Builder::read_quantization() {
  std::map<std::uint32_t, std::uint64_t> bytes_of_type;
  for (const Tensor& tensor : manifest.tensors) bytes_of_type[tensor.type] += tensor.size_bytes;
  auto most = std::max_element(bytes_of_type.begin(), bytes_of_type.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  manifest.quantization = ggml_type_name(static_cast<ggml_type>(most->first));
  for (char& c : manifest.quantization) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}

void Builder::allow_cuts() {
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
void Builder::forbid_stages_without_window() {
  const auto& windows = manifest.sliding_window;
  if (std::find(windows.begin(), windows.end(), false) == windows.end()) return;
  bool seen = false;
  for (std::uint32_t i = 0; i < manifest.layer_count; ++i) {
    if (i > 0 && !(windows[i] && seen)) manifest.cut_allowed[i] = false;
    seen = seen || windows[i];
  }
  manifest.cut_rule += " with a sliding window (a stage must have one)";
}

Status Builder::build() {
  SHOAL_RETURN_IF_ERROR(read_names());
  SHOAL_RETURN_IF_ERROR(read_hyperparameters());
  SHOAL_RETURN_IF_ERROR(check_experts());
  SHOAL_RETURN_IF_ERROR([&]() -> Status {  // may be an array that a cut slices: its length must be right
    auto lengths = per_layer("feed_forward_length", 0, kWidthMax, {});
    return lengths ? Status() : Status(lengths.error());
  }());
  SHOAL_RETURN_IF_ERROR([&]() -> Status {
    auto lengths = per_layer("expert_feed_forward_length", 0, kWidthMax, {});
    return lengths ? Status() : Status(lengths.error());
  }());
  SHOAL_RETURN_IF_ERROR(read_attention());
  SHOAL_RETURN_IF_ERROR(read_windows());
  SHOAL_RETURN_IF_ERROR(read_tensors());
  SHOAL_RETURN_IF_ERROR(read_shard());
  read_quantization();
  allow_cuts();
  return {};
}

Result<Manifest> build_manifest(std::vector<GgufFile> parts, std::vector<fs::path> files) {
  Builder builder;
  builder.file = files[0].string();
  builder.manifest.files = std::move(files);
  builder.manifest.metadata = std::move(parts[0].metadata);
  builder.manifest.alignment = parts[0].alignment;
  builder.file_bytes = parts[0].file_bytes;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (Tensor& tensor : parts[i].tensors) {
      tensor.file = static_cast<std::uint32_t>(i);
      builder.manifest.tensors.push_back(std::move(tensor));
    }
  }
  if (parts.size() > 1) {
    std::vector<std::string_view> names;
    for (const Tensor& tensor : builder.manifest.tensors) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      return builder.corrupt(fmt::format("tensor {} is in two parts of the set", in_quotes(*twice)));
  }
  SHOAL_RETURN_IF_ERROR(builder.build());
  return std::move(builder.manifest);
}

std::uint64_t uint_of(const GgufFile& gguf, std::string_view key, std::uint64_t otherwise) {
  for (const MetadataEntry& entry : gguf.metadata) {
    if (entry.key == key) return entry.as_uint().value_or(otherwise);
  }
  return otherwise;
}

Result<GgufFile> map_and_parse(const fs::path& path) {
  SHOAL_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  return parse_gguf(mapped.bytes(), path.string());
}

// "x-00002-of-00003.gguf" -> the names of all three; empty where `path` is not of this form with this count.
std::vector<fs::path> split_siblings(const fs::path& path, std::uint64_t count) {
  std::string name = path.filename().string();
  std::string ending = fmt::format("-of-{:05}.gguf", count);
  constexpr std::size_t kNumberLength = 6;  // "-00001"
  if (!name.ends_with(ending) || name.size() < ending.size() + kNumberLength) return {};
  std::string prefix = name.substr(0, name.size() - ending.size() - kNumberLength);
  std::vector<fs::path> files;
  for (std::uint64_t i = 1; i <= count; ++i) {
    files.push_back(path.parent_path() / fmt::format("{}-{:05}{}", prefix, i, ending));
  }
  return files;
}

Result<Manifest> read_split_set(const fs::path& path, std::uint64_t count) {
  if (count > kSplitPartsMax) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is corrupt: it claims {} parts", path.string(), count)};
  }
  std::vector<fs::path> files = split_siblings(path, count);
  if (files.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is one of {} parts; give it its name back (…-00001-of-{:05}.gguf), all parts in one "
                             "folder",
                             path.string(), count, count)};
  }
  std::vector<GgufFile> parts;
  std::uint64_t tensors = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    SHOAL_ASSIGN_OR_RETURN(GgufFile part, map_and_parse(files[i]));
    if (uint_of(part, "split.count", 0) != count || uint_of(part, "split.no", UINT64_MAX) != i) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{} is not part {} of {} of this model", files[i].string(), i + 1, count)};
    }
    tensors += part.tensors.size();
    parts.push_back(std::move(part));
  }
  std::uint64_t expected = uint_of(parts[0], "split.tensors.count", tensors);
  if (expected != tensors) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is corrupt: the set has {} tensors, expected {}",
                                                  files[0].string(), tensors, expected)};
  }
  return build_manifest(std::move(parts), std::move(files));
}

}  // namespace

std::uint64_t Manifest::size_bytes() const {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : tensors) sum += tensor.size_bytes;
  return sum;
}

std::uint64_t Manifest::layer_bytes(std::uint32_t layer) const {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : tensors) sum += tensor.layer == layer ? tensor.size_bytes : 0;
  return sum;
}

std::uint64_t Manifest::stage_weight_bytes(LayerRange range) const {
  bool first = range.first == 0, last = range.last == layer_count;
  std::uint64_t sum = 0;
  for (const Tensor& tensor : tensors) {
    bool embedding = tensor.name == "token_embd.weight";
    bool needed = tensor.layer                    ? *tensor.layer >= range.first && *tensor.layer < range.last
                  : embedding                     ? first || (last && tied_output)
                  : is_output_tensor(tensor.name) ? last
                                                  : true;
    if (needed) sum += tensor.size_bytes;
  }
  return sum;
}

std::uint64_t Manifest::stage_kv_bytes(LayerRange range, std::uint64_t tokens, KvType type) const {
  std::uint64_t values = 0;
  for (std::uint32_t i = range.first; i < std::min(range.last, layer_count); ++i) values += kv_values_per_token[i];
  // f16: 2 bytes a value. q8_0: blocks of 32 values in 34 bytes.
  std::uint64_t bytes_per_token = type == KvType::kF16 ? values * 2 : values * 34 / 32;
  return bytes_per_token * tokens;
}

const MetadataEntry* Manifest::find(std::string_view key) const {
  for (const MetadataEntry& entry : metadata) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Tensor* Manifest::find_tensor(std::string_view tensor_name) const {
  for (const Tensor& tensor : tensors) {
    if (tensor.name == tensor_name) return &tensor;
  }
  return nullptr;
}

std::optional<std::uint64_t> Manifest::find_uint(std::string_view key) const {
  const MetadataEntry* entry = find(key);
  return entry == nullptr ? std::nullopt : entry->as_uint();
}

std::optional<std::string> Manifest::find_string(std::string_view key) const {
  const MetadataEntry* entry = find(key);
  return entry == nullptr ? std::nullopt : entry->as_string();
}

bool is_per_layer_key(std::string_view key) {
  constexpr std::array<std::string_view, 6> kKeys = {
      "attention.head_count",       "attention.head_count_kv", "attention.sliding_window_pattern",
      "expert_feed_forward_length", "expert_used_count",       "feed_forward_length"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

bool is_shared_tensor(std::string_view name) {
  // rope_*: llama.cpp reads them once a model, at layer 0, and shares them with the others.
  constexpr std::array<std::string_view, 5> kNames = {"output_norm.weight", "output_norm.bias", "rope_freqs.weight",
                                                      "rope_factors_long.weight", "rope_factors_short.weight"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Result<Manifest> read_manifest(const fs::path& path) {
  SHOAL_ASSIGN_OR_RETURN(GgufFile gguf, map_and_parse(path));
  std::uint64_t parts = uint_of(gguf, "split.count", 0);
  if (parts > 1) return read_split_set(path, parts);
  std::vector<GgufFile> one;
  one.push_back(std::move(gguf));
  return build_manifest(std::move(one), {path});
}

Result<Manifest> parse_manifest(ByteSpan file, const fs::path& name) {
  SHOAL_ASSIGN_OR_RETURN(GgufFile gguf, parse_gguf(file, name.string()));
  std::vector<GgufFile> one;
  one.push_back(std::move(gguf));
  return build_manifest(std::move(one), {name});
}

}  // namespace shoal::model
