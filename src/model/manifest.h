// What a model file holds: the manifest, read from a GGUF (version 2 or 3, one file or a split set) without loading it.
//
// The reader is Shoal's own because a file comes from outside: every length is checked against the file and against a
// limit before memory is taken, and nothing asserts. Format: ggml's docs/gguf.md. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/sha256.h"
#include "base/stage_spec.h"

namespace shoal::model {

struct Tensor {
  std::string name;
  std::uint32_t type = 0;               // a ggml_type
  std::vector<std::uint64_t> shape;     // ggml order: the fastest dimension first; 1 to 4 of them
  std::uint32_t file = 0;               // index into Manifest::files
  std::uint64_t offset = 0;             // bytes from the start of that file
  std::uint64_t size_bytes = 0;
  std::optional<std::uint32_t> layer;   // of a `blk.N.` tensor
};

// One metadata entry as it stands in the file: the value's bytes are kept raw, so that a cut can copy it unchanged.
struct MetadataEntry {
  std::string key;
  std::uint32_t type = 0;  // a gguf_type
  Bytes value;             // for an array: element type, count and elements, as in the file
};

struct Manifest {
  std::vector<std::filesystem::path> files;  // one, or every part of a split set in order
  std::vector<MetadataEntry> metadata;       // of the first file
  std::vector<Tensor> tensors;               // in file order
  std::uint32_t alignment = 32;

  std::string architecture;   // general.architecture, e.g. "llama"
  std::string name;           // general.name, else the file's stem
  std::string tokenizer;      // tokenizer.ggml.model, e.g. "gpt2"
  std::string quantization;   // the type most weight bytes have, e.g. "Q4_0"
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;   // width of a hidden state, in floats
  std::uint32_t vocabulary_size = 0;
  std::uint32_t context_length = 0;     // the model was trained for; 0 = not said
  std::vector<std::uint32_t> key_bytes_f16_per_token;  // per layer: bytes of K and V for one token in f16 (0: no attention)
  bool tied_output = false;             // no output.weight: the last stage takes token_embd.weight

  // A cut is allowed before layer i only where this holds (architecture's patterns by layer index; §2 of the
  // architecture). Size layer_count + 1; first and last are always true.
  std::vector<bool> cut_allowed;
  std::string cut_rule;                 // the rule in words, for people

  std::uint64_t size_bytes() const;                           // of all tensors
  std::uint64_t layer_bytes(std::uint32_t layer) const;       // tensors of one layer
  // Weights a stage needs in memory: its layers, and at the ends the embedding, output norm and output.
  std::uint64_t stage_weight_bytes(LayerRange range) const;
  // KV bytes of `tokens` cells over the layers of `range`.
  std::uint64_t stage_kv_bytes(LayerRange range, std::uint64_t tokens, KvType type) const;

  // Typed look-ups; nullopt when the key is missing or of another type.
  std::optional<std::uint64_t> find_uint(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key) const;
};

// Reads `path`, and for a split set (…-00001-of-00003.gguf) every other part beside it.
// kNotFound; kCorrupt (no GGUF, truncated, a count, length, type, offset or size that cannot be: the message names the
// tensor or key); kUnsupported (an architecture that cannot be cut, a big-endian file, a version Shoal does not know).
Result<Manifest> read_manifest(const std::filesystem::path& path);

// The same for one file that is already in memory: what the fuzz target calls. `name` is for messages.
Result<Manifest> parse_manifest(ByteSpan file, const std::filesystem::path& name);

}  // namespace shoal::model
