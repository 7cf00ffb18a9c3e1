#include "model/gguf_file.h"

#include <array>
#include <unordered_set>

#include <fmt/format.h>

#include "ggml.h"

namespace shoal::model {
namespace {

// Far above what any model has, and low enough that a hostile count costs nothing.
constexpr std::uint64_t kMetadataEntriesMax = 1u << 16;
constexpr std::uint64_t kTensorsMax = 1u << 16;
constexpr std::uint64_t kKeyBytesMax = 65535;  // docs/gguf.md
constexpr std::uint32_t kDimensionsMax = 4;
constexpr std::uint64_t kAlignmentMax = 1u << 20;
constexpr std::uint64_t kTensorBytesMax = std::uint64_t{1} << 62;
// Empty strings take 8 bytes each in the file, so the file's size bounds this too; it bounds the time of a hostile one.
constexpr std::uint64_t kArrayElementsMax = 1u << 26;

constexpr std::array<std::uint8_t, 4> kMagic = {'G', 'G', 'U', 'F'};

// Bytes of one value of a type by its number; 0: variable (string, array).
constexpr std::array<std::uint8_t, 13> kTypeBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

class Reader {
 public:
  Reader(ByteSpan file, std::string_view name) : file_(file), name_(name) {}

  Error corrupt(std::string what) const {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is corrupt or truncated: {}", name_, what)};
  }
  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return file_.size() - position_; }

  template <typename T>
  Status read(T& value, std::string_view what) {
    if (left() < sizeof(T)) return corrupt(fmt::format("it ends inside {}", what));
    value = load_le<T>(file_.data() + position_);
    position_ += sizeof(T);
    return {};
  }
  Status read_string(std::string& value, std::uint64_t bytes_max, std::string_view what) {
    std::uint64_t length = 0;
    SHOAL_RETURN_IF_ERROR(read(length, what));
    if (length > bytes_max) return corrupt(fmt::format("{} is {} bytes long, more than {}", what, length, bytes_max));
    if (length > left()) return corrupt(fmt::format("it ends inside {}", what));
    value.assign(reinterpret_cast<const char*>(file_.data() + position_), length);
    position_ += length;
    return {};
  }
  // Steps over one value of a fixed-size type, a string or an array; the caller takes its bytes.
  Status skip_value(std::uint32_t type, bool in_array, std::string_view key);
  ByteSpan bytes_from(std::uint64_t start) const { return file_.subspan(start, position_ - start); }

 private:
  Status skip_bytes(std::uint64_t count, std::string_view key) {
    if (count > left()) return corrupt(fmt::format("it ends inside the value of {}", in_quotes(key)));
    position_ += count;
    return {};
  }
  Status skip_array(std::string_view key);

  ByteSpan file_;
  std::string_view name_;
  std::uint64_t position_ = 0;
};

Status Reader::skip_array(std::string_view key) {
  std::uint32_t element = 0;
  std::uint64_t count = 0;
  SHOAL_RETURN_IF_ERROR(read(element, "an array's type"));
  SHOAL_RETURN_IF_ERROR(read(count, "an array's length"));
  if (element >= kTypeBytes.size() || element == static_cast<std::uint32_t>(GgufType::kArray)) {
    return corrupt(fmt::format("{} is an array of the unknown type {}", in_quotes(key), element));
  }
  if (count > kArrayElementsMax) return corrupt(fmt::format("{} claims {} elements", in_quotes(key), count));
  if (std::uint64_t each = kTypeBytes[element]; each != 0) return skip_bytes(count * each, key);
  if (count > left() / sizeof(std::uint64_t))
    return corrupt(fmt::format("it ends inside the value of {}", in_quotes(key)));
  for (std::uint64_t i = 0; i < count; ++i) SHOAL_RETURN_IF_ERROR(skip_value(element, true, key));
  return {};
}

Status Reader::skip_value(std::uint32_t type, bool in_array, std::string_view key) {
  if (type >= kTypeBytes.size()) return corrupt(fmt::format("{} has the unknown type {}", in_quotes(key), type));
  if (kTypeBytes[type] != 0) return skip_bytes(kTypeBytes[type], key);
  if (type == static_cast<std::uint32_t>(GgufType::kArray)) {
    if (in_array) return corrupt(fmt::format("{} is an array of arrays", in_quotes(key)));
    return skip_array(key);
  }
  std::uint64_t length = 0;
  SHOAL_RETURN_IF_ERROR(read(length, "a string's length"));
  return skip_bytes(length, key);
}

Result<MetadataEntry> read_entry(Reader& reader) {
  MetadataEntry entry;
  std::uint32_t type = 0;
  SHOAL_RETURN_IF_ERROR(reader.read_string(entry.key, kKeyBytesMax, "a metadata key"));
  if (entry.key.empty()) return reader.corrupt("a metadata key is empty");
  SHOAL_RETURN_IF_ERROR(reader.read(type, "a metadata type"));
  std::uint64_t start = reader.position();
  SHOAL_RETURN_IF_ERROR(reader.skip_value(type, false, entry.key));
  entry.type = static_cast<GgufType>(type);
  ByteSpan value = reader.bytes_from(start);
  entry.value.assign(value.begin(), value.end());
  return entry;
}

// A tensor's entry in the table; `offset` is still relative to the data section.
Result<Tensor> read_tensor(Reader& reader) {
  Tensor tensor;
  SHOAL_RETURN_IF_ERROR(reader.read_string(tensor.name, GGML_MAX_NAME - 1, "a tensor name"));
  if (tensor.name.empty()) return reader.corrupt("a tensor has no name");
  std::uint32_t dimensions = 0;
  SHOAL_RETURN_IF_ERROR(reader.read(dimensions, "a tensor's shape"));
  if (dimensions == 0 || dimensions > kDimensionsMax) {
    return reader.corrupt(fmt::format("tensor {} claims {} dimensions", in_quotes(tensor.name), dimensions));
  }
  tensor.shape.resize(dimensions);
  for (std::uint64_t& extent : tensor.shape) SHOAL_RETURN_IF_ERROR(reader.read(extent, "a tensor's shape"));
  SHOAL_RETURN_IF_ERROR(reader.read(tensor.type, "a tensor's type"));
  SHOAL_RETURN_IF_ERROR(reader.read(tensor.offset, "a tensor's offset"));
  std::optional<std::uint64_t> size = tensor_bytes(tensor.type, tensor.shape);
  if (!size) {
    return reader.corrupt(fmt::format("tensor {} of type {} has the impossible shape [{}]", in_quotes(tensor.name),
                                      tensor.type, fmt::join(tensor.shape, ", ")));
  }
  tensor.size_bytes = *size;
  return tensor;
}

Result<std::uint32_t> read_alignment(const Reader& reader, const std::vector<MetadataEntry>& metadata) {
  for (const MetadataEntry& entry : metadata) {
    if (entry.key != "general.alignment") continue;
    std::uint64_t alignment = entry.type == GgufType::kUint32 ? entry.as_uint().value_or(0) : 0;
    if (alignment == 0 || alignment > kAlignmentMax || (alignment & (alignment - 1)) != 0) {
      return reader.corrupt("general.alignment is not a power of two of type uint32 up to 1 MiB");
    }
    return static_cast<std::uint32_t>(alignment);
  }
  return std::uint32_t{32};
}

// Makes offsets absolute. ggml wants the tensors one after the other in table order, each aligned.
Status place_tensors(const Reader& reader, GgufFile& gguf, std::uint64_t file_bytes) {
  std::uint64_t data_start = align_up(reader.position(), gguf.alignment);
  std::uint64_t expected = 0;
  for (Tensor& tensor : gguf.tensors) {
    if (tensor.offset != expected) {
      return reader.corrupt(fmt::format("tensor {} is at offset {} of the data, expected {}", in_quotes(tensor.name),
                                        tensor.offset, expected));
    }
    if (data_start > file_bytes || tensor.size_bytes > file_bytes - data_start ||
        tensor.offset > file_bytes - data_start - tensor.size_bytes) {
      return reader.corrupt(fmt::format("tensor {} wants {} bytes at {}, but the file has {}", in_quotes(tensor.name),
                                        tensor.size_bytes, data_start + tensor.offset, file_bytes));
    }
    expected += align_up(tensor.size_bytes, gguf.alignment);
    tensor.offset += data_start;
  }
  return {};
}

template <typename T>
std::optional<std::uint64_t> non_negative(const std::uint8_t* from) {
  T value = load_le<T>(from);
  if constexpr (std::is_signed_v<T>) {
    if (value < 0) return std::nullopt;
  }
  return static_cast<std::uint64_t>(value);
}

std::optional<std::uint64_t> whole_number(GgufType type, const std::uint8_t* from) {
  switch (type) {
    case GgufType::kUint8:
      return non_negative<std::uint8_t>(from);
    case GgufType::kInt8:
      return non_negative<std::int8_t>(from);
    case GgufType::kUint16:
      return non_negative<std::uint16_t>(from);
    case GgufType::kInt16:
      return non_negative<std::int16_t>(from);
    case GgufType::kUint32:
      return non_negative<std::uint32_t>(from);
    case GgufType::kInt32:
      return non_negative<std::int32_t>(from);
    case GgufType::kUint64:
      return non_negative<std::uint64_t>(from);
    case GgufType::kInt64:
      return non_negative<std::int64_t>(from);
    case GgufType::kBool:
      return *from != 0 ? 1u : 0u;
    default:
      return std::nullopt;
  }
}

constexpr std::size_t kArrayHead = sizeof(std::uint32_t) + sizeof(std::uint64_t);

template <typename T>
void put(Bytes& out, T value) {
  out.resize(out.size() + sizeof value);
  store_le(out.data() + out.size() - sizeof value, value);
}
void put_string(Bytes& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

}  // namespace

std::optional<std::uint64_t> MetadataEntry::as_uint() const {
  if (type == GgufType::kBool) return std::nullopt;
  return whole_number(type, value.data());
}

std::optional<std::string> MetadataEntry::as_string() const {
  if (type != GgufType::kString) return std::nullopt;
  return std::string(as_text(value).substr(sizeof(std::uint64_t)));
}

std::optional<MetadataEntry::Array> MetadataEntry::as_array() const {
  if (type != GgufType::kArray) return std::nullopt;
  return Array{static_cast<GgufType>(load_le<std::uint32_t>(value.data())),
               load_le<std::uint64_t>(value.data() + sizeof(std::uint32_t))};
}

std::optional<std::uint64_t> MetadataEntry::element_uint(std::uint64_t index) const {
  std::optional<Array> array = as_array();
  if (!array || index >= array->count) return std::nullopt;
  return whole_number(array->element,
                      value.data() + kArrayHead + index * kTypeBytes[static_cast<std::size_t>(array->element)]);
}

MetadataEntry MetadataEntry::slice(std::uint64_t first, std::uint64_t count) const {
  std::optional<Array> array = as_array();
  SHOAL_ASSERT(array && first + count <= array->count);
  std::size_t each = kTypeBytes[static_cast<std::size_t>(array->element)];
  SHOAL_ASSERT(each != 0);
  MetadataEntry result{key, type, {}};
  put(result.value, static_cast<std::uint32_t>(array->element));
  put(result.value, count);
  ByteSpan part = ByteSpan(value).subspan(kArrayHead + first * each, count * each);
  result.value.insert(result.value.end(), part.begin(), part.end());
  return result;
}

MetadataEntry MetadataEntry::of_uint32(std::string key, std::uint32_t value) {
  MetadataEntry entry{std::move(key), GgufType::kUint32, {}};
  put(entry.value, value);
  return entry;
}

MetadataEntry MetadataEntry::of_string(std::string key, std::string_view value) {
  MetadataEntry entry{std::move(key), GgufType::kString, {}};
  put_string(entry.value, value);
  return entry;
}

MetadataEntry MetadataEntry::of_bools(std::string key, const std::vector<bool>& values) {
  MetadataEntry entry{std::move(key), GgufType::kArray, {}};
  put(entry.value, static_cast<std::uint32_t>(GgufType::kBool));
  put<std::uint64_t>(entry.value, values.size());
  for (bool value : values) entry.value.push_back(value ? 1 : 0);
  return entry;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 64;
  std::string result = "'";
  for (char c : text.substr(0, kShown)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + (text.size() > kShown ? "...'" : "'");
}

std::optional<std::uint64_t> tensor_bytes(std::uint32_t type, const std::vector<std::uint64_t>& shape) {
  if (type >= GGML_TYPE_COUNT || shape.empty()) return std::nullopt;
  auto block = static_cast<std::uint64_t>(ggml_blck_size(static_cast<ggml_type>(type)));
  std::uint64_t block_bytes = ggml_type_size(static_cast<ggml_type>(type));
  if (block == 0 || block_bytes == 0 || shape[0] % block != 0) return std::nullopt;  // 0: a type ggml has given up
  std::uint64_t size = block_bytes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    std::uint64_t extent = i == 0 ? shape[0] / block : shape[i];
    if (extent == 0 || extent > kTensorBytesMax / size) return std::nullopt;
    size *= extent;
  }
  // ggml counts elements in int64: the number of them must fit as well, whatever few bits each takes.
  return size > kTensorBytesMax / block ? std::nullopt : std::optional(size);
}

Result<GgufFile> parse_gguf(ByteSpan file, std::string_view name) {
  if (file.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), file.begin())) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is not a GGUF file (it does not begin with 'GGUF')", name)};
  }
  Reader reader(file, name);
  std::uint32_t magic = 0, version = 0;
  std::uint64_t tensor_count = 0, entry_count = 0;
  SHOAL_RETURN_IF_ERROR(reader.read(magic, "the header"));
  SHOAL_RETURN_IF_ERROR(reader.read(version, "the header"));
  if (version != 0 && (version & 0xffff) == 0) {
    return Error{ErrorCode::kUnsupported, fmt::format("{} is a big-endian GGUF; convert it to little-endian", name)};
  }
  if (version < 2 || version > 3) {
    return Error{ErrorCode::kUnsupported, fmt::format("{} is GGUF version {}; Shoal reads 2 and 3", name, version)};
  }
  SHOAL_RETURN_IF_ERROR(reader.read(tensor_count, "the header"));
  SHOAL_RETURN_IF_ERROR(reader.read(entry_count, "the header"));
  if (tensor_count > kTensorsMax) return reader.corrupt(fmt::format("it claims {} tensors", tensor_count));
  if (entry_count > kMetadataEntriesMax)
    return reader.corrupt(fmt::format("it claims {} metadata entries", entry_count));

  GgufFile gguf;
  gguf.file_bytes = file.size();
  std::unordered_set<std::string> seen;
  for (std::uint64_t i = 0; i < entry_count; ++i) {
    SHOAL_ASSIGN_OR_RETURN(MetadataEntry entry, read_entry(reader));
    if (!seen.insert(entry.key).second) return reader.corrupt(fmt::format("{} is there twice", in_quotes(entry.key)));
    gguf.metadata.push_back(std::move(entry));
  }
  SHOAL_ASSIGN_OR_RETURN(gguf.alignment, read_alignment(reader, gguf.metadata));
  seen.clear();
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    SHOAL_ASSIGN_OR_RETURN(Tensor tensor, read_tensor(reader));
    if (!seen.insert(tensor.name).second) {
      return reader.corrupt(fmt::format("tensor {} is there twice", in_quotes(tensor.name)));
    }
    gguf.tensors.push_back(std::move(tensor));
  }
  SHOAL_RETURN_IF_ERROR(place_tensors(reader, gguf, file.size()));
  return gguf;
}

Bytes write_gguf_header(const std::vector<MetadataEntry>& metadata, std::vector<Tensor>& tensors,
                        std::uint32_t alignment, std::uint64_t& file_bytes) {
  Bytes out(kMagic.begin(), kMagic.end());
  put<std::uint32_t>(out, 3);
  put<std::uint64_t>(out, tensors.size());
  put<std::uint64_t>(out, metadata.size());
  for (const MetadataEntry& entry : metadata) {
    put_string(out, entry.key);
    put(out, static_cast<std::uint32_t>(entry.type));
    out.insert(out.end(), entry.value.begin(), entry.value.end());
  }
  std::uint64_t relative = 0;
  for (Tensor& tensor : tensors) {
    put_string(out, tensor.name);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::uint64_t extent : tensor.shape) put(out, extent);
    put(out, tensor.type);
    put(out, relative);
    tensor.offset = relative;
    relative += align_up(tensor.size_bytes, alignment);
  }
  out.resize(align_up(out.size(), alignment), 0);
  for (Tensor& tensor : tensors) tensor.offset += out.size();
  file_bytes = out.size() + relative;
  return out;
}

}  // namespace shoal::model
