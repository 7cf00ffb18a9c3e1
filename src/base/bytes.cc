#include "base/bytes.h"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace shoal {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array<Unit, 14> kUnits = {{{"", 1},
                                          {"B", 1},
                                          {"KiB", 1024},
                                          {"MiB", 1048576},
                                          {"GiB", 1073741824},
                                          {"TiB", 1099511627776},
                                          {"K", 1024},
                                          {"M", 1048576},
                                          {"G", 1073741824},
                                          {"T", 1099511627776},
                                          {"KB", 1e3},
                                          {"MB", 1e6},
                                          {"GB", 1e9},
                                          {"TB", 1e12}}};

}  // namespace

std::string to_hex(ByteSpan bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (std::uint8_t byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

Result<Bytes> from_hex(std::string_view hex) {
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    int high = hex_digit(hex[i]);
    int low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) return Error{ErrorCode::kInvalidArgument, "not a hexadecimal string"};
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  if (hex.size() % 2 != 0) return Error{ErrorCode::kInvalidArgument, "a hexadecimal string has an odd length"};
  return bytes;
}

std::string to_base64url(ByteSpan bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text += kBase64[bits >> bit_count & 63];
    }
  }
  if (bit_count > 0) text += kBase64[bits << (6 - bit_count) & 63];
  return text;
}

Result<Bytes> from_base64url(std::string_view text) {
  Bytes bytes;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (char c : text) {
    std::size_t digit = kBase64.find(c);
    if (digit == std::string_view::npos) return Error{ErrorCode::kInvalidArgument, "not a base64url string"};
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      bytes.push_back(static_cast<std::uint8_t>(bits >> bit_count & 255));
    }
  }
  if (bit_count >= 6 || (bits & ((1u << bit_count) - 1)) != 0) {
    return Error{ErrorCode::kInvalidArgument, "a base64url string is cut short"};
  }
  return bytes;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  double number = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (status == std::errc() && std::isfinite(number) && number >= 0 && !std::signbit(number)) {
    for (const Unit& known : kUnits) {
      if (known.name == unit && number * known.bytes < 9.2e18) return static_cast<std::uint64_t>(number * known.bytes);
    }
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("'{}' is not a size; write bytes or a number with KiB, MiB or GiB, as in 2GiB", text)};
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  double number = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (number >= 1024 && unit + 1 < kNames.size()) {
    number /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.{}f} {}", number, number < 10 ? 2 : number < 100 ? 1 : 0, kNames[unit]);
}

}  // namespace shoal
