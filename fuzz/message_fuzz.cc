// The protobuf-to-domain step: the first byte is the message type, the rest its protobuf.
#include "wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  if (size == 0) return 0;
  const auto message = wire::decode_message(data[0], {data + 1, size - 1});
  if (!message.ok()) {
    SHOAL_ASSERT(!message.error().message.empty());
    return 0;
  }
  // Raw bytes of the only size that always fits: candidates are counted in the message.
  std::size_t raw_bytes = 0;
  if (const auto* result = std::get_if<wire::StepResult>(&*message)) {
    for (const std::uint32_t count : result->candidate_counts) raw_bytes += count * std::size_t{8};
  }
  const Bytes frame = wire::encode_frame(*message, raw_bytes);
  const auto again = wire::decode_message(data[0], ByteSpan(frame).subspan(wire::kFrameHeaderBytes));
  SHOAL_ASSERT(again.ok() && *again == *message);
  return 0;
}
