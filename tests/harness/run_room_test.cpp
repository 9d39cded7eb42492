// Room for what a run writes: a limit on file sizes is an error, a full disk a warning.
#include "harness/record/run_room.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

#include "harness/record/run_folder.h"
#include "src/base/error.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

// More than any disk holds; nothing is allocated for it.
Recipe make_huge_recipe() {
  Recipe recipe;
  recipe.model.dim = 1 << 20;
  recipe.model.vocab_size = 1 << 20;
  recipe.model.mlp_hidden = 1 << 22;
  recipe.model.layers = 64;
  return recipe;
}

TEST(RunRoom, AFullDiskIsWarnedOfBeforeTraining) {
  const TemporaryFolder folder;
  EXPECT_EQ(find_lack_of_room(folder.path(), Recipe{}), "");
  EXPECT_EQ(find_lack_of_room(folder.path() / "none", make_huge_recipe()), "");
  const RunFolder opened = open_run_folder(folder.path(), make_huge_recipe(), false);
  ASSERT_EQ(opened.remarks.size(), 1u);
  EXPECT_NE(opened.remarks[0].find("free some space"), std::string::npos) << opened.remarks[0];
}

TEST(RunRoom, ALimitOnFileSizesIsRefusedBeforeTheFolderIsMade) {
  const TemporaryFolder folder;
  rlimit old = {};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small = {1 << 20, old.rlim_max};
  std::string message;
  setrlimit(RLIMIT_FSIZE, &small);
  try {
    open_run_folder(folder.path() / "out", Recipe{}, false);
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_NE(message.find("1,048,576 bytes are allowed"), std::string::npos) << message;
  EXPECT_NE(message.find("ulimit -f unlimited"), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out"));
}

}  // namespace
}  // namespace pg
