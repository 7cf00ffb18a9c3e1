#include "engine/kv_state.h"

#include <cstring>

#include <fmt/format.h>

#include "base/sha256.h"
#include "ggml.h"

namespace shoal::engine {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHashedBytes = 32;
constexpr std::size_t kHeaderBytes = 64;
constexpr std::uint32_t kLlamaStateMagic = 0xaf143cd8;  // io_magic in llama-context.cpp
constexpr int kCachesMax = 2;                           // a sliding-window model keeps two: whole and windowed layers

Error corrupt(std::string_view what) {
  return {ErrorCode::kCorrupt, fmt::format("this is no KV of such a stage: {}; compute it again", what)};
}

class Reader {
 public:
  explicit Reader(ByteSpan bytes) : rest_(bytes) {}
  template <typename T>
  bool read(T& value) {
    if (rest_.size() < sizeof value) return false;
    value = load_le<T>(rest_.data());
    return skip(sizeof value);
  }
  bool skip(std::uint64_t count) {
    if (rest_.size() < count) return false;
    rest_ = rest_.subspan(count);
    return true;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  ByteSpan rest_;
};

// One cell: position, number of sequences (1), that sequence's id in the stage it came from.
bool read_cells(Reader& reader, std::uint32_t count, std::uint32_t next_position) {
  std::int64_t last = -1;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::int32_t position = 0;
    std::uint32_t sequences = 0;
    std::int32_t sequence = 0;
    if (!reader.read(position) || !reader.read(sequences) || !reader.read(sequence)) return false;
    // Ascending cells are what makes attention sum in the same order everywhere.
    if (position <= last || position >= static_cast<std::int64_t>(next_position) || sequences != 1) return false;
    last = position;
  }
  return last == static_cast<std::int64_t>(next_position) - 1;
}

// The rows of one layer's K or V: type, bytes of a row, rows.
bool read_layer(Reader& reader, std::uint32_t count, std::int32_t type) {
  std::int32_t layer_type = 0;
  std::uint64_t row_bytes = 0;
  if (!reader.read(layer_type) || !reader.read(row_bytes) || layer_type != type) return false;
  if (row_bytes == 0 || row_bytes > (std::uint64_t{1} << 24)) return false;
  return reader.skip(row_bytes * count);
}

bool read_cache(Reader& reader, const KvShape& shape, std::uint32_t& layers_seen, bool& all_positions) {
  std::uint32_t streams = 0;
  std::uint32_t cells = 0;
  if (!reader.read(streams) || !reader.read(cells) || streams != 1) return false;
  if (cells == 0 || cells > shape.next_position || !read_cells(reader, cells, shape.next_position)) return false;
  all_positions = cells == shape.next_position;
  std::uint32_t transposed = 0;
  std::uint32_t layers = 0;
  if (!reader.read(transposed) || !reader.read(layers) || transposed != 0 || layers > shape.layers) return false;
  const std::int32_t type = shape.type == KvType::kQ8_0 ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
  for (std::uint32_t i = 0; i < 2 * layers; ++i) {  // all K, then all V
    if (!read_layer(reader, cells, type)) return false;
  }
  layers_seen += layers;
  return true;
}

Digest hash_of(ByteSpan header, ByteSpan payload) {
  return Sha256().update(header.first(kHashedBytes)).update(payload).finish();
}

}  // namespace

Bytes pack_kv(const KvShape& shape, ByteSpan payload) {
  Bytes bytes(kHeaderBytes + payload.size());
  std::memcpy(bytes.data(), "SHKV", 4);
  store_le(bytes.data() + 4, kVersion);
  store_le(bytes.data() + 8, shape.layers);
  store_le(bytes.data() + 12, shape.embedding_length);
  store_le(bytes.data() + 16, static_cast<std::uint32_t>(shape.type));
  store_le(bytes.data() + 20, shape.next_position);
  store_le(bytes.data() + 24, static_cast<std::uint64_t>(payload.size()));
  std::memcpy(bytes.data() + kHeaderBytes, payload.data(), payload.size());
  const Digest hash = hash_of(bytes, payload);
  std::memcpy(bytes.data() + kHashedBytes, hash.bytes.data(), hash.bytes.size());
  return bytes;
}

Result<PackedKv> unpack_kv(ByteSpan bytes, const KvShape& here, std::uint32_t tokens_max) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), "SHKV", 4) != 0) return corrupt("no header");
  if (load_le<std::uint32_t>(bytes.data() + 4) != kVersion) return corrupt("another version of the format");
  const ByteSpan payload = bytes.subspan(kHeaderBytes);
  if (load_le<std::uint64_t>(bytes.data() + 24) != payload.size()) return corrupt("its size is wrong");
  const Digest hash = hash_of(bytes, payload);
  if (std::memcmp(bytes.data() + kHashedBytes, hash.bytes.data(), hash.bytes.size()) != 0) {
    return corrupt("its SHA-256 does not fit its bytes");
  }
  if (load_le<std::uint32_t>(bytes.data() + 8) != here.layers ||
      load_le<std::uint32_t>(bytes.data() + 12) != here.embedding_length ||
      load_le<std::uint32_t>(bytes.data() + 16) != static_cast<std::uint32_t>(here.type)) {
    return corrupt("layers, width or KV type differ");
  }
  KvShape shape = here;
  shape.next_position = load_le<std::uint32_t>(bytes.data() + 20);
  if (shape.next_position == 0 || shape.next_position > tokens_max) {
    return corrupt(fmt::format("it holds {} positions, this stage takes 1 to {}", shape.next_position, tokens_max));
  }
  SHOAL_RETURN_IF_ERROR(check_kv_payload(payload, shape));
  return PackedKv{shape.next_position, payload};
}

Status check_kv_payload(ByteSpan payload, const KvShape& shape) {
  Reader reader(payload);
  std::uint32_t magic = 0;
  std::int32_t slot = 0;
  if (!reader.read(magic) || !reader.read(slot) || magic != kLlamaStateMagic) return corrupt("no llama.cpp state");
  std::uint32_t layers = 0;
  bool complete = false;
  for (int cache = 0; cache < kCachesMax && !reader.at_end(); ++cache) {
    bool all_positions = false;
    if (!read_cache(reader, shape, layers, all_positions)) return corrupt("counts, types or sizes contradict");
    complete = complete || all_positions;
  }
  if (layers != shape.layers || !reader.at_end() || !complete) return corrupt("layers or rows are missing or too many");
  return {};
}

}  // namespace shoal::engine
