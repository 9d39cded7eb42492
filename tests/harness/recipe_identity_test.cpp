// What makes two recipes the same run, and what may change when one goes on.
#include "harness/recipe/recipe_identity.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "harness/recipe/config_fields.h"
#include "harness/recipe/recipe_value.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"

namespace pg {
namespace {

constexpr Affects kAll = Affects::kTraining | Affects::kPacking | Affects::kScoring;

Recipe recipe_with(std::initializer_list<const char*> assignments) {
  Recipe recipe;
  for (const char* assignment : assignments) apply_override(recipe, assignment);
  return recipe;
}

Recipe baseline_recipe() {
  Recipe recipe;
  for (const BaselineValue& b : recipe_baseline()) {
    std::string text(b.value);
    if (text.front() == '"') text = text.substr(1, text.size() - 2);
    set_recipe_value(recipe, b.key, PlainText{text}, {"baseline: "});
  }
  return recipe;
}

TEST(RecipeIdentity, EveryKeyThatAffectsAnythingIsInTheBaselineOnce) {
  std::set<std::string> wanted, found;
  const Recipe recipe;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, const auto&) {
    if (is_identifying(info, kAll)) wanted.insert(std::string(section) + "." + info.key);
  });
  for (const BaselineValue& b : recipe_baseline()) {
    EXPECT_TRUE(found.insert(std::string(b.key)).second) << b.key << " stands there twice";
  }
  EXPECT_EQ(wanted, found) << "a new key stands in the baseline at the value that changes nothing";
}

TEST(RecipeIdentity, TheBaselineIsWrittenAsRecipesAre) {
  EXPECT_EQ(list_identity(baseline_recipe(), kAll), "");
}

// Identities in records and checkpoints depend on these bytes: the table only grows at its end.
TEST(RecipeIdentity, TheBaselineIsFrozen) {
  constexpr size_t kFirstKeys = 108;
  std::string text;
  for (const BaselineValue& b : recipe_baseline().first(kFirstKeys)) {
    text.append(b.key).append("=").append(b.value).append("\n");
  }
  EXPECT_EQ(hex(sha256(as_bytes(text))),
            "40d0d29921d166e83e67d4c9d0e903a9a6655192c9d56600e1cdc33c111d728d");
}

TEST(RecipeIdentity, HoldsWhatDiffersFromTheBaselineAlone) {
  Recipe recipe = baseline_recipe();
  for (const char* assignment : {"optimizer.matrix_lr=0.5", "quant.rounding=nearest",
                                 "ttt.kind=lora", "train.log_every=3", "record.name=x"}) {
    apply_override(recipe, assignment);
  }
  EXPECT_EQ(list_identity(recipe, Affects::kTraining), "optimizer.matrix_lr=0.5\n");
  EXPECT_EQ(list_identity(recipe, Affects::kPacking), "quant.rounding=\"nearest\"\n");
  EXPECT_EQ(list_identity(recipe, Affects::kScoring), "ttt.kind=\"lora\"\n");
  EXPECT_EQ(list_identity(recipe, kAll),
            "optimizer.matrix_lr=0.5\nquant.rounding=\"nearest\"\nttt.kind=\"lora\"\n");
}

TEST(RecipeIdentity, HashesChangeWithWhatTheyCoverAndNothingElse) {
  const std::string before = hash_recipe(Recipe{});
  for (const char* same :
       {"record.blurb=b", "track.name=t", "track.hardware=h", "train.log_every=3",
        "train.val_every=3", "train.checkpoint_every_s=3", "data.train_shards=elsewhere/*.bin",
        "data.val_shards=v", "data.tokenizer=t"}) {
    EXPECT_EQ(hash_recipe(recipe_with({same})), before) << same;
  }
  for (const char* other :
       {"train.seed=1", "data.loader=coprime", "model.layers=3", "quant.fill_cap=false",
        "eval.stride=1", "ttt.lr=1", "mix.kind=tilt", "track.device=reference"}) {
    EXPECT_NE(hash_recipe(recipe_with({other})), before) << other;
  }
}

TEST(RecipeIdentity, ACheckpointBelongsToTrainingKeysAndData) {
  const uint64_t before = identify_training(Recipe{}, 1);
  EXPECT_NE(identify_training(Recipe{}, 2), before);
  for (const char* same : {"quant.rounding=nearest", "eval.stride=1", "ttt.kind=sgd",
                           "mix.kind=tilt", "record.name=x", "train.val_every=7"}) {
    EXPECT_EQ(identify_training(recipe_with({same}), 1), before) << same;
  }
  for (const char* other : {"train.seed=1", "data.loader=coprime", "model.leaky_slope=0.1",
                            "optimizer.newton_schulz=polar_express", "train.average=swa"}) {
    EXPECT_NE(identify_training(recipe_with({other}), 1), before) << other;
  }
}

}  // namespace
}  // namespace pg
