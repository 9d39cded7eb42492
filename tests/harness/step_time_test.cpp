// What the planner foresees against step times that public logs state, and one that was measured.
#include "harness/planner/step_time.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace pg {
namespace {

Recipe load_published(const std::string& folder) {
  Recipe recipe;
  const std::filesystem::path file =
      std::filesystem::path("records/10min_16mb") / folder / "recipe.toml";
  apply_toml(recipe, read_text_file(file), file.string());
  return recipe;
}

double mean_step_ms(const TrainingTime& time) {
  return 1e3 * time.training_s / static_cast<double>(time.step_count);
}

// By the logs of their records. Those of April loop from a part of the budget on: their mean step.
TEST(StepTime, OfPublicKernelsIsThatOfPublicLogs) {
  const std::pair<const char*, double> logs[] = {
      {"2026-03-17_NaiveBaseline", 43.5},
      {"2026-03-23_LeakyReLU_LegalTTT_ParallelMuon", 83.4},
      {"2026-04-05_SP8192_GPTQ_SDClip_Loop45", 117.9},
      {"2026-04-09_SP8192_Loop35_ParallelTTT", 129.1},
      {"2026-04-13_SP8192_Lanes_PhasedLoRA", 121.3},
      {"2026-04-27_SP8192_CaseOps_SparseGate", 121.5}};
  for (const auto& [folder, ms] : logs) {
    const TrainingTime time = predict_training(load_published(folder), find_hardware("8xh100"),
                                               find_kernel_rates("public"));
    EXPECT_NEAR(mean_step_ms(time), ms, 0.15 * ms) << folder;
  }
}

// 88.1 ms on one H100 with an eighth of the record's batch (docs/cuda.md): the plan of a GPU's share.
TEST(StepTime, OfOwnKernelsIsTheMeasuredOne) {
  Recipe recipe = load_published("2026-03-23_LeakyReLU_LegalTTT_ParallelMuon");
  recipe.train.batch_tokens /= 8;
  recipe.train.gradient_leaves = 1;
  const TrainingTime time =
      predict_training(recipe, find_hardware("1xh100"), find_kernel_rates("own"));
  EXPECT_NEAR(mean_step_ms(time), 88.1, 0.15 * 88.1);
}

TEST(StepTime, LoopsTakeTimeFromTheirPartOfTheBudgetOn) {
  Recipe recipe = load_published("2026-03-23_LeakyReLU_LegalTTT_ParallelMuon");
  recipe.model.loop_first = 3;
  recipe.model.loop_last = 5;
  recipe.model.loop_passes = 3;
  recipe.train.loop_from = 0.35;
  const TrainingTime time =
      predict_training(recipe, find_hardware("8xh100"), find_kernel_rates("public"));
  ASSERT_EQ(time.steps.size(), 2u);
  EXPECT_EQ(time.steps[0].phase, "before loops");
  const double before_s = time.steps[0].seconds(), looped_s = time.steps[1].seconds();
  EXPECT_GT(looped_s, 1.3 * before_s);
  const double budget_s = recipe.train.wallclock_s - recipe.train.reserve_s;
  EXPECT_NEAR(static_cast<double>(time.step_count), budget_s * (0.35 / before_s + 0.65 / looped_s),
              2);
}

TEST(StepTime, RefusesWhatItCannotDivideOrDoesNotKnow) {
  Recipe recipe = load_published("2026-03-17_NaiveBaseline");
  recipe.train.batch_tokens = 4 * recipe.train.micro_batch_tokens;
  EXPECT_THROW(predict_training(recipe, find_hardware("8xh100"), find_kernel_rates("own")), Error);
  EXPECT_THROW(find_hardware("8xh900"), Error);
  EXPECT_THROW(find_kernel_rates("theirs"), Error);
}

}  // namespace
}  // namespace pg
