#include "base/random.h"

#include <openssl/rand.h>

namespace shoal {

Bytes secure_random(std::size_t count) {
  Bytes bytes(count);
  SHOAL_ASSERT(RAND_bytes(bytes.data(), static_cast<int>(count)) == 1);
  return bytes;
}

}  // namespace shoal
