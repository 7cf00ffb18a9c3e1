#include "make_model/weights.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/sha256.h"

namespace shoal::tools {
namespace {

// SplitMix64's mixing of a counter (base/random.h), so that any value can be had without those before it.
std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15u;
constexpr std::uint64_t kValuesPerHash = 4;  // 16 bits each: finer than any type but F32 can hold

constexpr std::int64_t kChunkValues = 1 << 19;

}  // namespace

void random_values(std::uint64_t start, std::uint64_t first, std::uint64_t count, float center, float spread,
                   float* out) {
  const float scale = spread / 32768.0f;
  for (std::uint64_t i = 0; i < count; i += kValuesPerHash) {
    std::uint64_t bits = mixed(start + ((first + i) / kValuesPerHash + 1) * kStep);
    for (std::uint64_t j = 0; j < std::min(kValuesPerHash, count - i); ++j) {
      out[i + j] = center + scale * static_cast<float>(static_cast<std::int16_t>(bits >> (16 * j)));
    }
  }
}

std::uint64_t tensor_seed(std::uint64_t seed, std::string_view name) {
  Digest digest = Sha256::of(as_bytes(name));
  return mixed(load_le<std::uint64_t>(digest.bytes.data()) + seed * kStep);
}

Status write_weights(const TensorShape& shape, std::uint64_t seed, std::uint32_t threads, const FileDescriptor& file,
                     std::uint64_t offset, const std::filesystem::path& name) {
  std::int64_t row = shape.extents[0], rows = 1;
  for (std::size_t i = 1; i < shape.extents.size(); ++i) rows *= shape.extents[i];
  std::int64_t rows_a_chunk = std::max<std::int64_t>(4, kChunkValues / row / 4 * 4);  // chunks begin at whole hashes
  rows_a_chunk = std::min(rows_a_chunk, rows);
  std::int64_t chunks = (rows + rows_a_chunk - 1) / rows_a_chunk;
  std::uint64_t row_bytes = ggml_row_size(shape.type, row);
  std::uint64_t start = tensor_seed(seed, shape.name);
  ggml_quantize_init(shape.type);

  std::atomic<std::int64_t> next = 0;
  std::mutex mutex;
  Status status;
  auto work = [&] {
    std::vector<float> values(static_cast<std::size_t>(rows_a_chunk * row));
    Bytes bytes(static_cast<std::size_t>(rows_a_chunk) * row_bytes);
    for (std::int64_t chunk = next++; chunk < chunks; chunk = next++) {
      std::int64_t first = chunk * rows_a_chunk, count = std::min(rows_a_chunk, rows - first);
      random_values(start, static_cast<std::uint64_t>(first * row), static_cast<std::uint64_t>(count * row),
                    shape.center, shape.spread, values.data());
      std::size_t size = ggml_quantize_chunk(shape.type, values.data(), bytes.data(), 0, count, row, nullptr);
      Status written =
          file.write_at(offset + static_cast<std::uint64_t>(first) * row_bytes, ByteSpan(bytes).first(size), name);
      if (written.ok()) continue;
      std::lock_guard lock(mutex);
      status = written;
      return;
    }
  };
  std::vector<std::thread> helpers;
  std::int64_t helper_count = std::min<std::int64_t>(threads, chunks) - 1;
  for (std::int64_t i = 0; i < helper_count; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  return status;
}

}  // namespace shoal::tools
