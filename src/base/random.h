// Random numbers of two kinds: reproducible ones for simulations and sampling, and unpredictable ones for secrets.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace shoal {

// SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same on every machine. Never for secrets.
class SplitMix64 {
 public:
  using result_type = std::uint64_t;
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t operator()() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound), bound > 0; the bias of the modulus is below 2^-32 for the bounds in use.
  std::uint64_t below(std::uint64_t bound) { return (*this)() % bound; }
  double unit() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }  // [0, 1)

  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

 private:
  std::uint64_t state_;
};

// From the operating system, through OpenSSL. Fit for keys and join secrets.
Bytes secure_random(std::size_t count);

}  // namespace shoal
