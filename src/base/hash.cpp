// SHA-256 is libcrypto's: it is kept up by people who do nothing else, and takes the processor's own
// instructions for it. EVP is the interface that stays; SHA256() is deprecated since OpenSSL 3.
#include "src/base/hash.h"

#include <openssl/evp.h>

#include "src/base/check.h"

namespace pg {

Sha256 sha256(std::span<const uint8_t> bytes) {
  Sha256 digest;
  unsigned int digest_bytes = 0;
  const int done =
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), &digest_bytes, EVP_sha256(), nullptr);
  PG_CHECK(done == 1 && digest_bytes == digest.size(), "libcrypto has no SHA-256");
  return digest;
}

std::string hex(std::span<const uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace pg
