#include "src/files/file_sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/system_error.h"

namespace pg {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw Error("cannot read \"" + path.string() + "\": " + describe_system_error(error));
}

}  // namespace

Sha256 sha256_file(const std::filesystem::path& path) {
  // A pipe would otherwise be waited for.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) fail(path, errno);
  return sha256_file(file, path);
}

Sha256 sha256_file(const FileDescriptor& file, const std::filesystem::path& path) {
  constexpr size_t kReadBytes = size_t{1} << 18;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  PG_CHECK(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1,
           "libcrypto has no SHA-256");
  std::vector<uint8_t> buffer(kReadBytes);
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, errno);
    if (n == 0) break;
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(n));
  }
  Sha256 digest;
  unsigned int digest_bytes = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &digest_bytes);
  return digest;
}

}  // namespace pg
