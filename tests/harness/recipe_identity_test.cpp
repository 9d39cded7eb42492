// What makes two recipes the same run, and what may change when one goes on.
#include "harness/recipe/recipe_identity.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "eval/scoring_keys.h"
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
  for (const FrozenValue& b : recipe_baseline()) {
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
  for (const FrozenValue& b : recipe_baseline()) {
    EXPECT_TRUE(found.insert(std::string(b.key)).second) << b.key << " stands there twice";
  }
  EXPECT_EQ(wanted, found) << "a new key stands in the baseline at the value that changes nothing";
}

TEST(RecipeIdentity, TheBaselineIsWrittenAsRecipesAre) {
  EXPECT_EQ(list_identity(baseline_recipe(), kAll), "");
}

// Identities in records and checkpoints, and the meaning of artifacts, depend on these bytes: the
// tables only grow at their ends.
TEST(RecipeIdentity, TheFrozenKeysAreFrozen) {
  struct Table {
    std::span<const FrozenValue> keys;
    size_t first_keys;
    const char* sha256;
  };
  const Table tables[] = {
      {frozen_run_keys(), 56, "5e1b88a36d9b9ecebbb7d78a381d84dc01bf57049dd387b81ea819264e0e548b"},
      {frozen_model_keys(), 23, "4d1286d8eeef54fc996cc1a3d42f820bf16ad25a130ba3d5063417e25f01ea35"},
      {frozen_scoring_keys(), 33,
       "25863595ef6f4ad6ad8fea5754b9b626eb8bd5f8099d528a376ad289842a545c"}};
  for (const Table& table : tables) {
    std::string text;
    for (const FrozenValue& key : table.keys.first(table.first_keys)) {
      text.append(key.key).append("=").append(key.value).append("\n");
    }
    EXPECT_EQ(hex(sha256(as_bytes(text))), table.sha256) << table.keys[0].key;
  }
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
