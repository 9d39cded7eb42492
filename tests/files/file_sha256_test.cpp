// The hash of a file is that of its bytes, however many reads they take.
#include "src/files/file_sha256.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"

namespace pg {
namespace {

TEST(FileSha256, IsThatOfTheBytes) {
  const auto file =
      std::filesystem::path(testing::TempDir()) / ("pg_sha256_" + std::to_string(::getpid()));
  for (const size_t size : {size_t{0}, size_t{3}, size_t{1} << 18, (size_t{1} << 20) + 1}) {
    const std::string text(size, 'a');
    write_file_atomic(file, text);
    EXPECT_EQ(sha256_file(file), sha256(as_bytes(text))) << size;
  }
  std::filesystem::remove(file);
  EXPECT_THROW((void)sha256_file(file), Error);
  EXPECT_THROW((void)sha256_file(testing::TempDir()), Error) << "a folder";
}

}  // namespace
}  // namespace pg
