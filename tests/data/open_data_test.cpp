#include "src/data/corpus/open_data.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "src/data/corpus/write_shard.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

class OpenData : public testing::Test {
 protected:
  std::string tokenizer_error(std::string_view text) const {
    const std::filesystem::path model = folder_.write("bad.model", text);
    return catch_error([&] { open_tokenizer_file(model); });
  }
  std::string shards_error(std::string_view text) const {
    folder_.write("b_000001.bin", text);
    return catch_error([&] { open_shard_files((folder_ / "b_*.bin").string(), 1024); });
  }
  DataFolder folder_;
};

TEST_F(OpenData, TokenizersThatWentWrongOnTheWayAreNamed) {
  EXPECT_TRUE(says(tokenizer_error("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
                   "bad.model\" is a Git LFS pointer, which only names the file; fetch it with "
                   "\"git lfs pull\""));
  EXPECT_TRUE(says(tokenizer_error("\n<!DOCTYPE html><html>"), "a web page"));
  EXPECT_TRUE(says(tokenizer_error("Entry not found"), "a server's error message"));
  EXPECT_TRUE(says(tokenizer_error("\x1f\x8b\x08"), "compressed with gzip"));
  EXPECT_TRUE(says(tokenizer_error("not a model"), "; give a .model file"));
}

TEST_F(OpenData, ShardsThatWentWrongOnTheWayAreNamed) {
  write_shard(folder_ / "b_000000.bin", make_ids(100, 1000));
  const std::string pointer =
      shards_error("version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
  EXPECT_TRUE(says(pointer,
                   "b_000001.bin\": it is a Git LFS pointer, which only names the file; fetch it "
                   "with \"git lfs pull\""));
  EXPECT_TRUE(says(shards_error("<!DOCTYPE html>" + std::string(2000, ' ')), "a web page"));
  EXPECT_TRUE(says(shards_error("\x1f\x8b" + std::string(2000, ' ')), "compressed with gzip"));
  EXPECT_TRUE(says(shards_error("not a shard"), "its header alone takes 1024"));
}

// Looking into a pipe would wait for it.
TEST_F(OpenData, OtherFaultsStayAsTheyAre) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(
      says(catch_error([&] { open_tokenizer_file(folder_ / "none.model"); }), "none.model"));
  EXPECT_TRUE(says(catch_error([&] { open_shard_files((folder_ / "pipe").string(), 1024); }),
                   "not a token shard file"));
  EXPECT_TRUE(says(catch_error([] { open_shard_files("/nowhere/x_*.bin", 1024); }),
                   "no token shard matches"));
}

}  // namespace
}  // namespace pg
