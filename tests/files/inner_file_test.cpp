// A file by a name that may be a stranger's: nothing outside the folder is opened, no link is followed, no pipe waited for.
#include "src/files/inner_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <initializer_list>
#include <string>

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/files/file_sha256.h"
#include "src/files/write_file.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

class InnerFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    write_file_atomic(root_ / "outside", std::string("outside"));
    write_file_atomic(folder_ / "plain", std::string("plain"));
    write_file_atomic(folder_ / "deep/er/plain", std::string("deep"));
    fs::create_symlink(root_ / "outside", folder_ / "link");
    fs::create_directory_symlink(root_, folder_ / "way");
    ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  }
  void TearDown() override { fs::remove_all(root_); }

  InnerFileState state(std::string_view path) { return open_inner_file(folder_, path).state; }

  const fs::path root_ =
      fs::path(testing::TempDir()) / ("pg_inner_file_" + std::to_string(::getpid()));
  const fs::path folder_ = root_ / "folder";
};

TEST_F(InnerFiles, PlainFilesAreOpened) {
  for (const auto& [path, text] : {std::pair{"plain", "plain"}, {"deep/er/plain", "deep"}}) {
    const InnerFile inner = open_inner_file(folder_, path);
    ASSERT_EQ(inner.state, InnerFileState::kOpen) << path;
    EXPECT_STREQ(inner.describe(), "");
    EXPECT_EQ(sha256_file(inner.file, path), sha256(as_bytes(text)));
  }
}

TEST_F(InnerFiles, NoNameLeadsOut) {
  for (const std::string_view path : std::initializer_list<std::string_view>{"",
                                                                             ".",
                                                                             "..",
                                                                             "../outside",
                                                                             "/etc/passwd",
                                                                             "deep/../plain",
                                                                             "deep//er",
                                                                             "plain/",
                                                                             "./plain",
                                                                             {"plain\0x", 7}}) {
    EXPECT_EQ(state(path), InnerFileState::kBadPath) << path;
    EXPECT_FALSE(is_inner_path(path)) << path;
  }
  EXPECT_TRUE(is_inner_path("deep/er/plain"));
  EXPECT_FALSE(is_inner_name("deep/er/plain"));
  EXPECT_TRUE(is_inner_name("..plain"));
}

TEST_F(InnerFiles, LinksPipesAndFoldersAreNoPlainFiles) {
  for (const char* path : {"link", "way/outside", "pipe", "deep", "plain/below"}) {
    EXPECT_EQ(state(path), InnerFileState::kNotPlain) << path;
  }
  EXPECT_EQ(state("none"), InnerFileState::kMissing);
  EXPECT_EQ(open_inner_file(root_ / "none", "plain").state, InnerFileState::kMissing);
}

}  // namespace
}  // namespace pg
