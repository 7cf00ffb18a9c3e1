// How a manifest is made from a parsed GGUF. Internal to model.
//
// manifest_reader.cc opens files and puts the parts of a split set together; manifest_hyperparameters.cc reads the
// metadata; manifest_tensors.cc reads the tensors and says where the model may be cut. Each step reports the first
// thing that is wrong, so that the next may rely on what the ones before it found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "model/architecture.h"
#include "model/manifest.h"

namespace shoal::model {

// llama.cpp's own limit (llama-hparams.h), on which it asserts.
inline constexpr std::uint64_t kLayersMax = 512;
// Far above any model; it keeps products of it inside 64 bits.
inline constexpr std::uint64_t kWidthMax = 1u << 20;

// A tensor that only the last stage needs.
bool is_output_tensor(std::string_view name);

// A manifest on its way; every error names the file.
struct ManifestBuilder {
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

}  // namespace shoal::model
