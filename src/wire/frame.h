// Frames: how a message and its raw bytes lie on a stream (docs/architecture.md §4).
//
//   offset  size  field, little-endian
//        0     4  magic "SHOL"
//        4     2  protocol version (kProtocolVersion)
//        6     2  message type: 1 + the index in wire::Message
//        8     4  message bytes (protobuf)
//       12     4  raw bytes (tensor, piece, relayed frame)
//
// Every length is checked against the limit of its message type before memory is taken. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/messages.h"

namespace shoal::wire {

inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::uint32_t kMessageBytesMax = 4u << 20;
inline constexpr std::uint32_t kRawBytesMax = 64u << 20;     // candidates: 63 rows with all logits of a 128k vocabulary
inline constexpr std::uint32_t kStepRawBytesMax = 8u << 20;  // hidden states: 63 rows of a 16384-wide model take 4 MiB
inline constexpr std::uint32_t kJoinMessageBytesMax = 1024;  // all that an unpaired peer may send

struct FrameHeader {
  std::uint16_t version = 0;
  std::uint16_t type = 0;
  std::uint32_t message_bytes = 0;
  std::uint32_t raw_bytes = 0;
};

// A decoded frame. `raw` is the tensor, piece or relayed frame that came with the message.
struct Frame {
  Message message;
  Bytes raw;
};

// kCorrupt: no magic, an unknown type, a length over its limit. kVersionMismatch: another version (says both).
Result<FrameHeader> decode_header(std::span<const std::uint8_t, kFrameHeaderBytes> bytes);

// The message of a frame whose header was decoded; kCorrupt with the field's name when it breaks messages.h's promises.
Result<Message> decode_message(std::uint16_t type, ByteSpan message);

// Whether so many raw bytes can belong to this message; kCorrupt when not: hidden states are whole rows of their type,
// candidates are eight bytes each, a piece that was not found has no bytes.
Status check_raw(const Message& message, std::size_t raw_bytes);

// Most raw bytes that a frame with this message may carry. Who fills a frame from a request of a peer's asks first.
std::size_t raw_bytes_max(const Message& message);

// Header and message bytes of a frame that will carry `raw_bytes` raw bytes behind them. What we send keeps the
// promises of messages.h: breaking one is a bug of ours and asserts, but for texts, which are clipped to their limits
// and cleaned of control characters (text.h), because they come from users and systems.
Bytes encode_frame(const Message& message, std::size_t raw_bytes);

// A whole frame from memory: header, message, raw bytes, nothing behind. For relayed frames and fuzzing.
Result<Frame> decode_frame(ByteSpan bytes);

// "Hello", "Step": for logs and errors.
std::string_view type_name(const Message& message);

}  // namespace shoal::wire
