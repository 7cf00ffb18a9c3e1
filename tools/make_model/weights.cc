#include "make_model/weights.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"
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

// --- K-quants: ggml's quantisers search for the best scales, some 300 ns a value. Random values need no search: the
// blocks are drawn as they are stored (layouts: block_q4_K, block_q5_K and block_q6_K in ggml-common.h).

constexpr std::uint64_t kBlockValues = 256;
constexpr float kScaleMean = 48;  // of the scales of sub-blocks, drawn from [33, 63]

void fill_random(SplitMix64& random, std::uint8_t* out, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += sizeof(std::uint64_t)) store_le(out + i, random());
}

// value = scale * (d * quant - dmin), with the same 6-bit number as scale and minimum of each of the 8 sub-blocks:
// two factors, 12 bytes of scales, `quant_bytes` of quants with equal chances.
void random_q45_block(SplitMix64& random, float spread, float middle, std::size_t quant_bytes, std::uint8_t* out) {
  float d = spread / (middle * kScaleMean);
  store_le(out, ggml_fp32_to_fp16(d));
  store_le(out + 2, ggml_fp32_to_fp16(d * middle));
  std::uint8_t* scales = out + 4;
  for (int j = 0; j < 4; ++j) {
    auto low = static_cast<std::uint8_t>(33 + random.below(31)),
         high = static_cast<std::uint8_t>(33 + random.below(31));
    scales[j] = scales[j + 4] = static_cast<std::uint8_t>(low | (high >> 4) << 6);
    scales[j + 8] = static_cast<std::uint8_t>((high & 15) | (high & 15) << 4);
  }
  fill_random(random, scales + 12, quant_bytes);
}

// value = d * scale * (quant - 32): 192 bytes of quants, 16 signed scales, a factor.
void random_q6_block(SplitMix64& random, float spread, std::uint8_t* out) {
  fill_random(random, out, 192);
  for (int j = 0; j < 16; ++j) {
    auto scale = static_cast<std::uint8_t>(33 + random.below(31));
    out[192 + j] = random.below(2) == 0 ? scale : static_cast<std::uint8_t>(-scale);
  }
  store_le(out + 208, ggml_fp32_to_fp16(spread / (32 * kScaleMean)));
}

bool is_k_quant(ggml_type type) {
  return type == GGML_TYPE_Q4_K || type == GGML_TYPE_Q5_K || type == GGML_TYPE_Q6_K;
}

std::size_t random_k_blocks(const TensorShape& shape, std::uint64_t start, std::uint64_t first, std::uint64_t count,
                            std::uint8_t* out) {
  std::size_t block_bytes = ggml_type_size(shape.type);
  for (std::uint64_t block = first / kBlockValues; block < (first + count) / kBlockValues; ++block) {
    SplitMix64 random(mixed(start + (block + 1) * kStep));
    if (shape.type == GGML_TYPE_Q4_K) random_q45_block(random, shape.spread, 7.5f, 128, out);
    if (shape.type == GGML_TYPE_Q5_K) random_q45_block(random, shape.spread, 15.5f, 160, out);
    if (shape.type == GGML_TYPE_Q6_K) random_q6_block(random, shape.spread, out);
    out += block_bytes;
  }
  return count / kBlockValues * block_bytes;
}

// `count` values of the tensor from flat index `first` on, as its type stores them. Returns bytes.
std::size_t make_chunk(const TensorShape& shape, std::uint64_t start, std::uint64_t first, std::uint64_t count,
                       std::int64_t row, std::vector<float>& values, std::uint8_t* out) {
  if (is_k_quant(shape.type)) return random_k_blocks(shape, start, first, count, out);
  values.resize(count);
  random_values(start, first, count, shape.center, shape.spread, values.data());
  return ggml_quantize_chunk(shape.type, values.data(), out, 0, static_cast<std::int64_t>(count) / row, row, nullptr);
}

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
    std::vector<float> values;
    Bytes bytes(static_cast<std::size_t>(rows_a_chunk) * row_bytes);
    for (std::int64_t chunk = next++; chunk < chunks; chunk = next++) {
      std::int64_t first = chunk * rows_a_chunk, count = std::min(rows_a_chunk, rows - first);
      std::size_t size = make_chunk(shape, start, static_cast<std::uint64_t>(first * row),
                                    static_cast<std::uint64_t>(count * row), row, values, bytes.data());
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
