// The GGUF container: metadata entries and the tensor table, read with every length checked, and written for shards.
//
// Format: ggml's docs/gguf.md, version 2 and 3, little-endian. The reader takes what llama.cpp's own reader takes and
// no more (llama.cpp aborts or refuses the rest): no arrays of arrays, tensors packed in table order, unique names.
// Nothing here knows what a key means but general.alignment. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace shoal::model {

// gguf_type of ggml's gguf.h; the values are part of the format.
enum class GgufType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// One metadata entry as it stands in the file: the value's bytes are kept raw, so that a cut can copy it unchanged.
struct MetadataEntry {
  std::string key;
  GgufType type = GgufType::kUint32;
  Bytes value;  // for an array: element type, count and elements, as in the file

  // The value as a number or text; nullopt when the entry is of another kind (negative, not whole, an array).
  std::optional<std::uint64_t> as_uint() const;
  std::optional<std::string> as_string() const;
  // Of an array: its element type and count; nullopt when the entry is no array.
  struct Array {
    GgufType element = GgufType::kUint8;
    std::uint64_t count = 0;
  };
  std::optional<Array> as_array() const;
  // Element `index` of an array of whole numbers or bools; nullopt when out of range, negative or of another type.
  std::optional<std::uint64_t> element_uint(std::uint64_t index) const;
  // Elements [first, first + count) of an array of fixed-size elements. The caller has checked the bounds.
  MetadataEntry slice(std::uint64_t first, std::uint64_t count) const;

  static MetadataEntry of_uint32(std::string key, std::uint32_t value);
  static MetadataEntry of_string(std::string key, std::string_view value);
  static MetadataEntry of_bools(std::string key, const std::vector<bool>& values);
};

struct Tensor {
  std::string name;
  std::uint32_t type = 0;            // a ggml_type
  std::vector<std::uint64_t> shape;  // ggml order: the fastest dimension first; 1 to 4 of them
  std::uint32_t file = 0;            // index into Manifest::files
  std::uint64_t offset = 0;          // bytes from the start of that file
  std::uint64_t size_bytes = 0;
  std::optional<std::uint32_t> layer;  // of a `blk.N.` tensor
};

struct GgufFile {
  std::vector<MetadataEntry> metadata;
  std::vector<Tensor> tensors;  // file = 0, layer unset
  std::uint32_t alignment = 32;
  std::uint64_t file_bytes = 0;
};

// kCorrupt or kUnsupported, as read_manifest says. `name` is the file's name for messages.
Result<GgufFile> parse_gguf(ByteSpan file, std::string_view name);

// Bytes of a tensor of this type and shape; nullopt when the type is unknown, a row is not whole blocks, or the size
// does not fit 62 bits.
std::optional<std::uint64_t> tensor_bytes(std::uint32_t type, const std::vector<std::uint64_t>& shape);

// Text from outside, fit for a one-line message: printable ASCII, at most 64 characters, in single quotes.
std::string in_quotes(std::string_view text);

// The header of a GGUF v3: magic, metadata, tensor table, zero padding up to where the tensors' bytes begin. Sets each
// tensor's `offset` to where its bytes go in the file, in order, aligned; `file_bytes` to the length of it all.
Bytes write_gguf_header(const std::vector<MetadataEntry>& metadata, std::vector<Tensor>& tensors,
                        std::uint32_t alignment, std::uint64_t& file_bytes);

}  // namespace shoal::model
