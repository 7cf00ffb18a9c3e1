// Byte strings: the owned and the borrowed kind, hex and base64url, sizes as people write them ("2GiB").
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal {

using Bytes = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(ByteSpan bytes);  // lower case
Result<Bytes> from_hex(std::string_view hex);
std::string to_base64url(ByteSpan bytes);  // RFC 4648 §5, no padding
Result<Bytes> from_base64url(std::string_view text);

// "1536", "512MiB", "2GiB", "1.5GiB", "300MB": bytes. Refuses signs, unknown units and what does not fit.
Result<std::uint64_t> parse_size(std::string_view text);
// 1610612736 -> "1.5 GiB"; three significant digits at the most.
std::string format_size(std::uint64_t bytes);

// Little-endian loads and stores of integers and floats, wherever the bytes lie.
template <typename T>
T load_le(const std::uint8_t* from) {
  static_assert(std::endian::native == std::endian::little, "Shoal runs on little-endian machines");
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
void store_le(std::uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace shoal
