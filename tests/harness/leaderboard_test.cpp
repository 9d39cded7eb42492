// The table of the records: the best first, a set of seeds one row, nothing of a record's words is markup.
#include "harness/record/leaderboard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "harness/recipe/recipe.h"
#include "src/base/error.h"
#include "src/files/write_file.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

class Leaderboard : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root_); }

  void add(const std::string& path, const std::string& json) {
    write_file_atomic(root_ / path / "submission.json", json);
  }
  void add_one(const std::string& path, const std::string& name, const std::string& date,
               double bpb, int64_t text_bytes = 1000) {
    add(path, fmt::format(R"({{"name": "{}", "track": "own", "date": "{}", "blurb": "b of {}",
        "seed_results": {{"7": {{"val_bpb": {}, "artifact_bytes": 900, "val_bytes": {}}}}}}})",
                          name, date, name, bpb, text_bytes));
  }
  void add_recipe(const std::string& path, double matrix_lr) {
    Recipe recipe;
    recipe.optimizer.matrix_lr = matrix_lr;
    write_file_atomic(root_ / path / "recipe.toml", write_recipe(recipe));
  }

  const fs::path root_ =
      fs::path(testing::TempDir()) / ("pg_leaderboard_" + std::to_string(::getpid()));
};

TEST_F(Leaderboard, BestComesFirstAndSaysWhatItChanged) {
  add_one("own/a", "Old", "2026-01-01", 1.5);
  add_one("own/b", "New", "2026-01-02", 1.4);
  add_recipe("own/a", 0.02);
  add_recipe("own/b", 0.03);
  const std::string text = write_leaderboard(root_);
  const size_t first =
      text.find("| 1 | [New](own/b) | 2026-01-02 | **1.4000** | one seed | 7 | 900 |");
  const size_t second = text.find("| 2 | [Old](own/a) |");
  ASSERT_NE(first, std::string::npos) << text;
  ASSERT_NE(second, std::string::npos) << text;
  EXPECT_LT(first, second);
  EXPECT_NE(text.find("Against Old: optimizer.matrix\\_lr = 0.03, was 0.02 |"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("same text"), std::string::npos);
  EXPECT_EQ(text, write_leaderboard(root_));
}

TEST_F(Leaderboard, ASetOfSeedsIsOneRowWithItsMean) {
  add("own/set", R"({"name": "Set", "track": "own", "seed_results": {
      "1": {"val_bpb": 1.0, "artifact_bytes": 10}, "2": {"val_bpb": 1.2, "artifact_bytes": 12}}})");
  add_one("own/set/seed_1", "Part", "2026-01-01", 1.0);
  const std::string text = write_leaderboard(root_);
  EXPECT_NE(text.find("| **1.1000** | 0.1414 | 1, 2 | 12 |"), std::string::npos) << text;
  EXPECT_EQ(text.find("Part"), std::string::npos) << text;
}

TEST_F(Leaderboard, OtherTextIsSaid) {
  add_one("own/a", "A", "2026-01-01", 1.5, 1000);
  add_one("own/b", "B", "2026-01-02", 1.4, 2000);
  EXPECT_NE(write_leaderboard(root_).find("Not all of them are scored on the same text"),
            std::string::npos);
}

TEST_F(Leaderboard, NoWordOfARecordIsMarkup) {
  add_one("own/a ](x)|<b>", "<script>|[x](y)", "2026-01-01", 1.5);
  const std::string text = write_leaderboard(root_);
  EXPECT_EQ(text.find('<'), std::string::npos) << text;
  EXPECT_NE(text.find("&lt;script\\>\\|\\[x\\]\\(y\\)](own/a%20%5D%28x%29%7C%3Cb%3E)"),
            std::string::npos)
      << text;
}

TEST_F(Leaderboard, AFolderThatIsNotThereAndARecordThatIsDamagedAreErrors) {
  EXPECT_THROW((void)write_leaderboard(root_), Error);
  fs::create_directories(root_);
  EXPECT_NE(write_leaderboard(root_).find("No record yet."), std::string::npos);
  add("own/a", "{");
  EXPECT_THROW((void)write_leaderboard(root_), Error);
}

}  // namespace
}  // namespace pg
