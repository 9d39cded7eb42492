// Schedules in both forms, and momentum warm-up.
#include "src/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

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

TEST(Schedule, WarmsUpOverTheFirstStepsAndNoAverageWaitsForThat) {
  TrainConfig c = make_config(WarmdownForm::kFraction);
  c.lr_warmup_steps = 8;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 0, 0.0, kEnd_s), 0.125);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 3, 1.0, kEnd_s), 0.5);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 2.0, kEnd_s), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 40, 80.0, kEnd_s), 0.5);
  const StepSchedule s = schedule_step(c, {}, 3, 80.0, kEnd_s);  // the two together
  EXPECT_DOUBLE_EQ(s.lr_multiplier, 0.25);
  EXPECT_DOUBLE_EQ(s.warmdown, 0.5);
  EXPECT_DOUBLE_EQ(s.fraction, 0.8);
  EXPECT_DOUBLE_EQ(s.decay_multiplier, 1.0);
}

// Half of the way down in each form: f = 1/2, then 1/4.
TEST(Schedule, ShapesFallToTheLeastLearningRate) {
  for (const double least : {0.0, 0.2}) {
    TrainConfig c = make_config(WarmdownForm::kFraction);
    c.min_lr = least;
    c.warmdown_shape = WarmdownShape::kCosine;
    EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 60.0, kEnd_s), 1.0);
    EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 80.0, kEnd_s), least + (1 - least) * 0.5);
    EXPECT_NEAR(lr_multiplier(c, 7, 90.0, kEnd_s),
                least + (1 - least) * 0.5 * (1 + std::cos(0.75 * std::numbers::pi)), 1e-15);
    EXPECT_NEAR(lr_multiplier(c, 7, 100.0, kEnd_s), least, 1e-15);
    c.warmdown_shape = WarmdownShape::kSqrt;
    EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 59.0, kEnd_s), 1.0);
    EXPECT_NEAR(lr_multiplier(c, 7, 80.0, kEnd_s), least + (1 - least) * (1 - std::sqrt(0.5)),
                1e-15);
    EXPECT_NEAR(lr_multiplier(c, 7, 120.0, kEnd_s), least, 1e-15);
    c = make_config(WarmdownForm::kSteps);
    c.min_lr = least;
    c.warmdown_shape = WarmdownShape::kCosine;
    EXPECT_DOUBLE_EQ(lr_multiplier(c, 90, 90.0, kEnd_s), least + (1 - least) * 0.5);
    EXPECT_DOUBLE_EQ(lr_multiplier(c, 990, 5.0, 0.0), least + (1 - least) * 0.5);
  }
}

// One cosine over the whole of training.
TEST(Schedule, ACosineOverAllOfTrainingIsAWarmdownOfAllOfIt) {
  TrainConfig c = make_config(WarmdownForm::kFraction);
  c.warmdown_shape = WarmdownShape::kCosine;
  c.warmdown_fraction = 1.0;
  for (int64_t step = 0; step < c.max_steps; step += 50) {
    const double part = static_cast<double>(step) / static_cast<double>(c.max_steps);
    EXPECT_NEAR(lr_multiplier(c, step, 1.0, 0.0), 0.5 * (1 + std::cos(part * std::numbers::pi)),
                1e-15);
  }
}

TEST(Schedule, WeightDecayTapersByTheClockOrTheSteps) {
  const TrainConfig c = make_config(WarmdownForm::kFraction);
  OptimizerConfig o;
  EXPECT_EQ(schedule_step(c, o, 7, 100.0, kEnd_s).decay_multiplier, 1.0);
  o.weight_decay_taper_start = 0.7;
  EXPECT_EQ(schedule_step(c, o, 7, 70.0, kEnd_s).decay_multiplier, 1.0);
  EXPECT_DOUBLE_EQ(schedule_step(c, o, 7, 85.0, kEnd_s).decay_multiplier, 0.75);
  EXPECT_DOUBLE_EQ(schedule_step(c, o, 7, 100.0, kEnd_s).decay_multiplier, 0.5);
  EXPECT_DOUBLE_EQ(schedule_step(c, o, 7, 101.0, kEnd_s).decay_multiplier, 0.5);
  EXPECT_DOUBLE_EQ(schedule_step(c, o, 850, 3.0, 0.0).decay_multiplier, 0.75);
  o.weight_decay_taper_end = 2.0;
  EXPECT_DOUBLE_EQ(schedule_step(c, o, 850, 3.0, 0.0).decay_multiplier, 1.5);
}

}  // namespace
}  // namespace pg
