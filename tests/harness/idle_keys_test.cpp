// Keys that a recipe sets although what would read them is off are named, and no others.
#include "harness/recipe/idle_keys.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "src/base/bytes.h"

namespace pg {
namespace {

std::vector<std::string> list_idle(const std::vector<std::string>& assignments) {
  Recipe recipe;
  for (const std::string& assignment : assignments) apply_override(recipe, assignment);
  std::vector<std::string> keys;
  for (const IdleKey& idle : find_idle_keys(recipe)) keys.push_back(idle.key);
  return keys;
}

TEST(IdleKeys, AreNamedUntilWhatReadsThemIsOn) {
  struct Case {
    std::string key, value, on;
  };
  for (const Case& c :
       std::vector<Case>{{"model.attention_gate_width", "4", "model.attention_gate=\"output\""},
                         {"model.attention_gate_scale", "2.0", "model.attention_gate=\"sparse\""},
                         {"model.softcap_width", "9.0", "model.softcap_form=\"asymmetric\""},
                         {"model.mudd_local_at", "\"1\"", "model.mudd_at=\"1\""},
                         {"model.parallel_from", "3", "model.parallel_residual=\"gptj\""},
                         {"model.loop_last", "2", "model.loop_passes=2"},
                         {"train.bag_fraction", "0.6", "train.bag_targets=4"},
                         {"train.mtp_weight", "0.3", "train.mtp_modules=1"},
                         {"train.lawa_count", "3", "train.average=\"lawa\""},
                         {"optimizer.head_lr", "0.1", "model.tied_head=false"},
                         {"optimizer.ema_nesterov_start", "0.4", "optimizer.ema_nesterov_beta=0.5"},
                         {"ttt.lora_rank", "4", "ttt.kind=\"phased_lora\""},
                         {"ttt.by_document", "true", "ttt.kind=\"lora\""},
                         {"ttt.lr", "0.1", "ttt.kind=\"sgd\""},
                         {"ttt.gradient_leaves", "2", "ttt.kind=\"sgd\""},
                         {"ttt.phases", "2", "ttt.kind=\"phased\""},
                         {"ttt.clip_norm", "2.0", "ttt.kind=\"lora\""},
                         {"mix.learn_rate", "0.1", "mix.kind=\"logit\""},
                         {"mix.tilt_beta", "1.0", "mix.kind=\"tilt\""},
                         {"mix.max_order", "8", "mix.kind=\"ppm\""}}) {
    const std::string set = c.key + "=" + c.value;
    EXPECT_EQ(list_idle({set}), std::vector<std::string>{c.key});
    EXPECT_EQ(list_idle({set, c.on}), std::vector<std::string>{}) << c.on;
  }
  EXPECT_EQ(list_idle({"ttt.kind=\"sgd\"", "ttt.lora_rank=4", "ttt.phases=2"}),
            (std::vector<std::string>{"ttt.phases", "ttt.lora_rank"}));
  EXPECT_EQ(list_idle({}), std::vector<std::string>{});
  EXPECT_EQ(list_idle({"model.value_embed_dim=0", "model.value_embed_layers=0",
                       "train.reserve_s=0.0", "train.wallclock_s=0.0"}),
            std::vector<std::string>{});
}

TEST(IdleKeys, SayWhatTheyWaitFor) {
  Recipe recipe;
  recipe.ttt.lora_rank = 4;
  ASSERT_EQ(find_idle_keys(recipe).size(), 1u);
  EXPECT_EQ(find_idle_keys(recipe)[0].sentence(),
            "ttt.lora_rank = 4 changes nothing until ttt.kind is \"lora\" or \"phased_lora\"");
}

// What is committed says nothing that is not so.
TEST(IdleKeys, NoRecipeHereHasOne) {
  int recipes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("records")) {
    if (entry.path().filename() != "recipe.toml") continue;
    if (entry.path().string().find("/ablations/") != std::string::npos) continue;  // arms switch on
    if (std::filesystem::exists(entry.path().parent_path() / "tape.jsonl"))
      continue;  // a run's own
    Recipe recipe;
    apply_toml(recipe, read_text_file(entry.path()), entry.path().string());
    for (const IdleKey& idle : find_idle_keys(recipe)) {
      // What PR #398 reported is there as a diagnosis alone.
      const bool is_diagnosed = idle.until.find("--diagnose") != std::string::npos &&
                                entry.path().string().find("PR398") != std::string::npos;
      if (!is_diagnosed) ADD_FAILURE() << entry.path() << ": " << idle.sentence();
    }
    ++recipes;
  }
  EXPECT_GE(recipes, 28);
}

}  // namespace
}  // namespace pg
