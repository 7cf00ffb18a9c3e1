#include "base/sha256.h"

#include <algorithm>

#include <openssl/evp.h>

namespace shoal {

Result<Digest> Digest::from_bytes(ByteSpan bytes) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    return Error{ErrorCode::kInvalidArgument, "a SHA-256 has 32 bytes, this has " + std::to_string(bytes.size())};
  }
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

Result<Digest> Digest::from_hex(std::string_view hex) {
  SHOAL_ASSIGN_OR_RETURN(Bytes bytes, shoal::from_hex(hex));
  return from_bytes(bytes);
}

struct Sha256::Context {
  Context() : evp(EVP_MD_CTX_new()) { reset(); }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  void reset() { SHOAL_ASSERT(EVP_DigestInit_ex(evp, EVP_sha256(), nullptr) == 1); }
  EVP_MD_CTX* evp;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteSpan bytes) {
  SHOAL_ASSERT(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
  return *this;
}

Digest Sha256::finish() {
  Digest digest;
  SHOAL_ASSERT(EVP_DigestFinal_ex(context_->evp, digest.bytes.data(), nullptr) == 1);
  context_->reset();
  return digest;
}

Digest Sha256::of(ByteSpan bytes) {
  return Sha256().update(bytes).finish();
}

}  // namespace shoal
