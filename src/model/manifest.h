// What a model file holds: the manifest, read from a GGUF (version 2 or 3, one file or a split set) without loading it.
//
// The reader is Shoal's own because a file comes from outside: every length is checked against the file and against a
// limit before memory is taken, and nothing asserts. What llama.cpp would abort on (GGML_ASSERT on hyperparameters) is
// refused here, so that a stage never gets to see it. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/sha256.h"
#include "base/stage_spec.h"
#include "model/gguf_file.h"

namespace shoal::model {

struct Manifest {
  std::vector<std::filesystem::path> files;  // one, or every part of a split set in order
  std::vector<MetadataEntry> metadata;       // of the first file
  std::vector<Tensor> tensors;               // in file order
  std::uint32_t alignment = 32;              // of the first file

  std::string architecture;  // general.architecture, one of architecture_names()
  std::string name;          // general.name, else the file's stem; printable
  std::string tokenizer;     // tokenizer.ggml.model, e.g. "gpt2"; printable
  std::string quantization;  // the type most weight bytes have, e.g. "Q4_0"
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;  // width of a hidden state, in floats
  std::uint32_t vocabulary_size = 0;
  std::uint32_t context_length = 0;                // the model was trained for
  std::vector<std::uint32_t> kv_values_per_token;  // per layer: K and V values of one token (0: no attention)
  std::vector<bool> sliding_window;                // per layer, where the architecture has windows by layer; else empty
  bool tied_output = false;                        // no output.weight: the output is token_embd.weight

  // Of a shard (model/cut.h): the layers of the whole model that it holds. A shard cannot be cut again.
  std::optional<LayerRange> shard_of;
  // Of a shard with the first layer and not the last: the model's token_embd.weight, which stands behind the tensors,
  // where llama.cpp does not look (model/cut.h). It lies inside the file.
  std::optional<Tensor> token_rows;

  // A cut is allowed before layer i only where this holds (model/architecture.h). Size layer_count + 1; first and last
  // are always true.
  std::vector<bool> cut_allowed;
  std::string cut_rule;  // the rule in words, for people

  std::uint64_t size_bytes() const;                      // of all tensors
  std::uint64_t layer_bytes(std::uint32_t layer) const;  // tensors of one layer
  // Weights a stage needs in memory: its layers, the small tensors every stage has, and at the ends the embedding and
  // the output.
  std::uint64_t stage_weight_bytes(LayerRange range) const;
  // KV bytes of `tokens` cells over the layers of `range`, windows counted as if they were full (as llama.cpp keeps
  // them when a sequence's KV can be exported).
  std::uint64_t stage_kv_bytes(LayerRange range, std::uint64_t tokens, KvType type) const;

  // nullptr when there is none.
  const MetadataEntry* find(std::string_view key) const;
  const Tensor* find_tensor(std::string_view tensor_name) const;
  // Typed look-ups; nullopt when the key is missing or of another type.
  std::optional<std::uint64_t> find_uint(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key) const;
};

// Keys that a cut puts into a shard's metadata. uint32: which layers of how many it holds.
inline constexpr std::string_view kShardFirstKey = "shoal.shard.first";
inline constexpr std::string_view kShardLastKey = "shoal.shard.last";
inline constexpr std::string_view kShardLayersKey = "shoal.shard.layer_count";
// Manifest::token_rows: offset in the file (uint64), ggml_type and number of rows (uint32).
inline constexpr std::string_view kShardRowsOffsetKey = "shoal.shard.token_rows.offset";
inline constexpr std::string_view kShardRowsTypeKey = "shoal.shard.token_rows.type";
inline constexpr std::string_view kShardRowsCountKey = "shoal.shard.token_rows.count";

// Metadata keys below "<arch>." that may hold one value a layer (llama.cpp's get_key_or_arr and load_swa_pattern in the
// architectures of the table); a cut slices them.
bool is_per_layer_key(std::string_view key_in_architecture);

// A tensor outside the layers that every stage needs: norms and rotary factors, small.
bool is_shared_tensor(std::string_view name);

// Reads `path`, and for a split set (…-00001-of-00003.gguf) every other part beside it, whichever part `path` is.
// kNotFound; kCorrupt (no GGUF, truncated, a count, length, type, offset or size that cannot be: the message names the
// tensor or key); kUnsupported (an architecture that cannot be cut, a big-endian file, a version Shoal does not know).
Result<Manifest> read_manifest(const std::filesystem::path& path);

// The same for one file that is already in memory: what the fuzz target calls. `name` is for messages.
Result<Manifest> parse_manifest(ByteSpan file, const std::filesystem::path& name);

}  // namespace shoal::model
