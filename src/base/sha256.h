// SHA-256 (FIPS 180-4), through OpenSSL.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace shoal {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  std::string hex() const { return to_hex(bytes); }
  std::string short_hex() const { return hex().substr(0, 8); }  // for logs and tables only
  static Result<Digest> from_hex(std::string_view hex);
  static Result<Digest> from_bytes(ByteSpan bytes);  // exactly 32 bytes
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(ByteSpan bytes);
  Digest finish();  // afterwards the object starts anew

  static Digest of(ByteSpan bytes);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace shoal

template <>
struct std::hash<shoal::Digest> {
  std::size_t operator()(const shoal::Digest& digest) const noexcept {
    std::size_t prefix;
    std::memcpy(&prefix, digest.bytes.data(), sizeof prefix);
    return prefix;
  }
};
