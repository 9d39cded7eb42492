// The published recipes and their forms for the CPU track.
#include "harness/recipe/scale_recipe.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "src/base/bytes.h"
#include "src/train/trainer.h"

namespace pg {
namespace {

TEST(ScaleRecipe, EveryPublishedRecipeCanTrainAndScoreInBothSizes) {
  int recipes = 0;
  for (const auto& folder : std::filesystem::directory_iterator("records/10min_16mb")) {
    const std::filesystem::path file = folder.path() / "recipe.toml";
    if (!std::filesystem::exists(file)) continue;
    Recipe recipe;
    apply_toml(recipe, read_text_file(file), file.string());
    EXPECT_NO_THROW(check_recipe(recipe)) << file;
    EXPECT_NO_THROW(check_batches(recipe.train, /*ranks=*/8)) << file;
    const Recipe scaled = scale_to_cpu(recipe);
    EXPECT_NO_THROW(check_recipe(scaled)) << file;
    EXPECT_NO_THROW(check_batches(scaled.train, /*ranks=*/1)) << file;
    ++recipes;
  }
  EXPECT_GE(recipes, 28);
}

TEST(ScaleRecipe, GrowthAndAdaptersShrinkWithContextAndWidth) {
  Recipe recipe;
  recipe.train.seq_len = recipe.train.micro_batch_tokens = 3072;
  recipe.train.seq_len_growth = "1024@0.1,3072@1";
  recipe.ttt.kind = TttKind::kLora;
  recipe.ttt.lora_rank = 80;
  recipe.ttt.lora_alpha = 144;
  const Recipe scaled = scale_to_cpu(recipe);
  EXPECT_EQ(scaled.train.seq_len_growth, "128@0.1,384@1");
  EXPECT_EQ(scaled.train.micro_batch_tokens, 3840);
  EXPECT_EQ(scaled.train.batch_tokens, 7680);
  EXPECT_EQ(scaled.ttt.lora_rank, 30);
  EXPECT_DOUBLE_EQ(scaled.ttt.lora_alpha, 54);
}

TEST(ScaleRecipe, LanesStillBeginBehindTheLoop) {
  Recipe recipe;
  recipe.model.loop_first = 3;
  recipe.model.loop_last = 6;
  recipe.model.loop_passes = 2;
  recipe.model.parallel_residual = ParallelResidual::kLanes;
  for (const int64_t from : {7, 8, 10}) {
    recipe.model.parallel_from = from;
    EXPECT_NO_THROW(check_recipe(scale_to_cpu(recipe))) << from;
  }
}

TEST(ScaleRecipe, MicroBatchesHaveWholeRowsOfEachLength) {
  Recipe recipe;
  recipe.train.seq_len = 2048;
  recipe.train.seq_len_growth = "1536@0.5,2048@1";
  const Recipe scaled = scale_to_cpu(recipe);
  EXPECT_NO_THROW(check_recipe(scaled));
  EXPECT_EQ(scaled.train.micro_batch_tokens % 192, 0);
}

}  // namespace
}  // namespace pg
