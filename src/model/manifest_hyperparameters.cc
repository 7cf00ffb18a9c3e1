// The names and numbers of a model's metadata, and what llama.cpp would assert on in them.
#include <algorithm>
#include <array>

#include "model/manifest_builder.h"

namespace shoal::model {
namespace {

// llama.cpp's own limit (llama-hparams.h), on which it asserts.
constexpr std::uint64_t kExpertsMax = 1024;
// Far above any model; they keep products of them inside 64 bits.
constexpr std::uint64_t kHeadsMax = 4096;
constexpr std::uint64_t kHeadLengthMax = 65536;

std::string printable(std::string text) {
  constexpr std::size_t kLongest = 256;
  if (text.size() > kLongest) text.resize(kLongest);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

}  // namespace

Result<std::uint32_t> ManifestBuilder::number(std::string_view rest, std::uint64_t low, std::uint64_t high,
                                              std::optional<std::uint64_t> fallback) const {
  const MetadataEntry* entry = manifest.find(key(rest));
  if (entry == nullptr && !fallback) return corrupt(fmt::format("{} is missing", in_quotes(key(rest))));
  std::optional<std::uint64_t> value = entry == nullptr ? fallback : entry->as_uint();
  if (!value || *value < low || *value > high) {
    return corrupt(fmt::format("{} is not a whole number from {} to {}", in_quotes(key(rest)), low, high));
  }
  return static_cast<std::uint32_t>(*value);
}

Result<std::vector<std::uint32_t>> ManifestBuilder::per_layer(std::string_view rest, std::uint64_t low,
                                                              std::uint64_t high,
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

Status ManifestBuilder::read_names() {
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

Status ManifestBuilder::read_hyperparameters() {
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
Status ManifestBuilder::check_experts() const {
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
Status ManifestBuilder::check_rope() const {
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

Status ManifestBuilder::read_attention() {
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

Status ManifestBuilder::read_windows() {
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
Status ManifestBuilder::check_windows() const {
  const auto& windows = manifest.sliding_window;
  if (std::find(windows.begin(), windows.end(), true) != windows.end()) return {};
  return unsupported("it has a sliding window and no layer that uses it, which llama.cpp cannot load");
}

}  // namespace shoal::model
