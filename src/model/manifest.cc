#include "model/manifest.h"

#include <algorithm>
#include <array>

#include "model/manifest_builder.h"

namespace shoal::model {

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

bool is_output_tensor(std::string_view name) {
  return name == "output.weight" || name == "output.bias";
}

}  // namespace shoal::model
