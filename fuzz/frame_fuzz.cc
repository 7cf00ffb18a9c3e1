// Any bytes as a frame: refused with a reason, or well-formed, and then the same after another trip.
#include "wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  const auto frame = wire::decode_frame({data, size});
  if (!frame.ok()) {
    SHOAL_ASSERT(!frame.error().message.empty());
    return 0;
  }
  Bytes again = wire::encode_frame(frame->message, frame->raw.size());
  again.insert(again.end(), frame->raw.begin(), frame->raw.end());
  const auto second = wire::decode_frame(again);
  SHOAL_ASSERT(second.ok() && second->message == frame->message && second->raw == frame->raw);
  return 0;
}
