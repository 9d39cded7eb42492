// Schedules in both forms, and momentum warm-up.
#include "src/train/schedule.h"

#include <gtest/gtest.h>

namespace pg {
namespace {

constexpr double kEnd_s = 100;  // of a budget of 110 s

TrainConfig make_config(WarmdownForm form) {
  TrainConfig c;
  c.wallclock_s = 110;
  c.warmdown_form = form;
  c.warmdown_steps = 20;
  c.warmdown_fraction = 0.4;
  c.max_steps = 1000;
  return c;
}

// Steps form: 50 steps in 50 s are 1 s each, so 20 steps of warmdown are the last 20 s.
TEST(Schedule, StepsFormFallsOverTheLastStepsAtTheMeasuredStepTime) {
  const TrainConfig c = make_config(WarmdownForm::kSteps);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 0, 0.0, kEnd_s), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 50, 50.0, kEnd_s), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 80, 80.0, kEnd_s), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 90, 90.0, kEnd_s), 0.5);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 100, 100.0, kEnd_s), 0.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 45, 90.0, kEnd_s), 0.25);  // 2 s a step: 10 s are 5 of 20 steps
}

TEST(Schedule, FractionFormFallsOverTheLastPartOfTheBudget) {
  TrainConfig c = make_config(WarmdownForm::kFraction);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 59.0, kEnd_s), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 80.0, kEnd_s), 0.5);
  c.min_lr = 0.1;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 100.0, kEnd_s), 0.1);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 64.0, 80.0), 0.5);  // the end has come nearer
}

TEST(Schedule, WithoutACapBothFormsRunOverTheSteps) {
  TrainConfig c = make_config(WarmdownForm::kSteps);
  c.wallclock_s = 0;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 980, 5.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 990, 5.0, 0.0), 0.5);
  c.warmdown_form = WarmdownForm::kFraction;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 800, 5.0, 0.0), 0.5);
}

TEST(Schedule, MomentumWarmsUpLinearly) {
  OptimizerConfig c;
  c.muon_momentum_start = 0.8;
  c.muon_momentum = 0.9;
  c.muon_momentum_warmup_steps = 10;
  EXPECT_DOUBLE_EQ(muon_momentum(c, 0), 0.8);
  EXPECT_DOUBLE_EQ(muon_momentum(c, 5), 0.85);
  EXPECT_DOUBLE_EQ(muon_momentum(c, 10), 0.9);
  EXPECT_DOUBLE_EQ(muon_momentum(c, 10000), 0.9);
}

}  // namespace
}  // namespace pg
