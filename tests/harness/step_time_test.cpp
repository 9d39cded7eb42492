// What the planner foresees against step times that public logs state, and its memory against what a
// training allocates.
#include "harness/planner/step_time.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "harness/bench/shape_device.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/comm/comm_single.h"
#include "src/train/train_step.h"
#include "tests/train/trainer_fixture.h"

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

// formulas: 43.54 ms of the first baseline, 83.4 of 03-23, by the logs of their records.
TEST(StepTime, OfPublicKernelsIsThatOfPublicLogs) {
  const std::pair<const char*, double> logs[] = {
      {"2026-03-17_NaiveBaseline", 43.5}, {"2026-03-23_LeakyReLU_LegalTTT_ParallelMuon", 83.4}};
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

// All that a step of training allocates on its device, counted there.
class PlannedMemory : public TrainerTest {};

TEST_F(PlannedMemory, IsWhatATrainingAllocates) {
  Recipe recipe;
  recipe.model = setup_.model;
  recipe.train = setup_.train;
  recipe.train.gradient_leaves = 2;
  recipe.train.average = Average::kEma;
  recipe.optimizer.normuon = NorMuon::kModded;
  const auto device = make_shape_device("cpu:bf16");
  setup_.train = recipe.train;
  setup_.optimizer = recipe.optimizer;
  setup_.device = device.get();
  const std::unique_ptr<Comm> comm = make_single_comm();
  const TrainStep step(setup_, *comm);
  const auto allocated = static_cast<double>(device->allocated_bytes());
  EXPECT_NEAR(static_cast<double>(predict_memory(recipe, 1).total()), allocated, 0.05 * allocated);
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
