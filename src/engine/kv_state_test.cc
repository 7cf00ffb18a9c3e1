// Goal: a payload that an evil peer made, with a correct hash, does not reach llama.cpp unless its structure is right.
#include "engine/kv_state.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "ggml.h"

namespace shoal::engine {
namespace {

constexpr std::uint32_t kLayers = 2;
constexpr std::uint64_t kRowBytes = 16;

class Writer {
 public:
  template <typename T>
  Writer& put(T value) {
    bytes.resize(bytes.size() + sizeof value);
    store_le(bytes.data() + bytes.size() - sizeof value, value);
    return *this;
  }
  Bytes bytes;
};

// llama.cpp's sequence state of `positions` rows, as v0.5.0 writes it.
Bytes payload_of(std::uint32_t positions, std::int32_t type = GGML_TYPE_F16) {
  Writer writer;
  writer.put(std::uint32_t{0xaf143cd8}).put(std::int32_t{0}).put(std::uint32_t{1}).put(positions);
  for (std::uint32_t i = 0; i < positions; ++i) {
    writer.put(static_cast<std::int32_t>(i)).put(std::uint32_t{1}).put(std::int32_t{0});
  }
  writer.put(std::uint32_t{0}).put(kLayers);
  for (std::uint32_t i = 0; i < 2 * kLayers; ++i) {
    writer.put(type).put(kRowBytes);
    writer.bytes.resize(writer.bytes.size() + kRowBytes * positions, 0x5a);
  }
  return writer.bytes;
}

const KvShape kHere{kLayers, 64, KvType::kF16, 0};

KvShape shape_of(std::uint32_t positions) {
  return {kLayers, 64, KvType::kF16, positions};
}

TEST(KvState, RoundTrip) {
  const Bytes payload = payload_of(3);
  const Bytes bytes = pack_kv(shape_of(3), payload);
  auto unpacked = unpack_kv(bytes, kHere, 100);
  ASSERT_TRUE(unpacked.ok()) << unpacked.error().message;
  EXPECT_EQ(unpacked->next_position, 3u);
  EXPECT_TRUE(std::equal(payload.begin(), payload.end(), unpacked->payload.begin(), unpacked->payload.end()));
}

TEST(KvState, RefusesOtherShapes) {
  const Bytes bytes = pack_kv(shape_of(3), payload_of(3));
  EXPECT_FALSE(unpack_kv(bytes, {kLayers + 1, 64, KvType::kF16, 0}, 100).ok());
  EXPECT_FALSE(unpack_kv(bytes, {kLayers, 65, KvType::kF16, 0}, 100).ok());
  EXPECT_FALSE(unpack_kv(bytes, {kLayers, 64, KvType::kQ8_0, 0}, 100).ok());
  EXPECT_FALSE(unpack_kv(bytes, kHere, 2).ok());
  EXPECT_FALSE(unpack_kv(pack_kv(shape_of(4), payload_of(3)), kHere, 100).ok());
  EXPECT_FALSE(unpack_kv(pack_kv(shape_of(3), payload_of(3, GGML_TYPE_F32)), kHere, 100).ok());
}

// Every structural field of the payload changed in turn, with a hash that fits.
TEST(KvState, RefusesContradictingStructure) {
  const Bytes payload = payload_of(3);
  const std::size_t cells = 16 + 3 * 12;
  int refused = 0;
  for (std::size_t at = 0; at < cells + 8 + 12; at += 4) {
    if (at == 4 || (at >= 16 && at < cells && (at - 16) % 12 == 8)) continue;  // the slot it had: not looked at
    for (std::uint32_t value : {0u, 2u, 77u, 0x7fffffffu, 0xffffffffu}) {
      Bytes changed = payload;
      if (load_le<std::uint32_t>(changed.data() + at) == value) continue;
      store_le(changed.data() + at, value);
      EXPECT_FALSE(check_kv_payload(changed, shape_of(3)).ok()) << at << " = " << value;
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
  for (std::size_t length = 0; length < payload.size(); ++length) {
    EXPECT_FALSE(check_kv_payload(ByteSpan(payload).first(length), shape_of(3)).ok()) << length;
  }
  Bytes longer = payload;
  longer.push_back(0);
  EXPECT_FALSE(check_kv_payload(longer, shape_of(3)).ok());
}

TEST(KvState, RandomBytesNeverCrash) {
  SplitMix64 random(1);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(random.below(300));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_FALSE(unpack_kv(bytes, kHere, 100).ok());
    EXPECT_FALSE(check_kv_payload(bytes, shape_of(3)).ok());
  }
}

}  // namespace
}  // namespace shoal::engine
