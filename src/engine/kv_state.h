// The form in which one sequence's KV leaves a stage: our header, then llama.cpp's own sequence state.
//
//   0  "SHKV"          4  version u32 (1)      8  layers u32         12  embedding length u32
//  16  KV type u32    20  next position u32   24  payload bytes u64   32  SHA-256 of bytes 0..31 and the payload
//  64  payload (llama_state_seq_get_data of llama.cpp v0.5.0)
// Little-endian. The hash finds damage; an evil peer can compute it, so the payload's structure is checked as well
// before llama.cpp sees it, which trusts counts and asserts. Pure; any thread.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/stage_spec.h"

namespace shoal::engine {

struct KvShape {
  std::uint32_t layers = 0;
  std::uint32_t embedding_length = 0;
  KvType type = KvType::kF16;
  std::uint32_t next_position = 0;  // positions 0 .. next_position - 1 are held
};

Bytes pack_kv(const KvShape& shape, ByteSpan payload);

struct PackedKv {
  std::uint32_t next_position = 0;
  ByteSpan payload;  // into the bytes given
};
// `here`: the stage the KV is to enter (its next_position is not looked at). kCorrupt: not an export of such a stage,
// damaged, or longer than `tokens_max` positions.
Result<PackedKv> unpack_kv(ByteSpan bytes, const KvShape& here, std::uint32_t tokens_max);

// Walks llama.cpp's sequence state: every count, type and size fits the next and the end. kCorrupt otherwise.
Status check_kv_payload(ByteSpan payload, const KvShape& shape);

}  // namespace shoal::engine
