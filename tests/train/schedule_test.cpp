// Schedules in both forms, momentum warm-up, and the stop decision under noisy step times.
#include "src/train/schedule.h"

#include <gtest/gtest.h>

#include "src/base/rng.h"

namespace pg {
namespace {

TrainConfig make_config(WarmdownForm form) {
  TrainConfig c;
  c.wallclock_s = 100;
  c.warmdown_form = form;
  c.warmdown_steps = 20;
  c.warmdown_fraction = 0.4;
  c.max_steps = 1000;
  return c;
}

// Steps form: 50 steps in 50 s are 1 s each, so 20 steps of warmdown are the last 20 s.
TEST(Schedule, StepsFormFallsOverTheLastStepsAtTheMeasuredStepTime) {
  const TrainConfig c = make_config(WarmdownForm::kSteps);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 50, 50.0), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 80, 80.0), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 90, 90.0), 0.5);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 100, 100.0), 0.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 45, 90.0), 0.25);  // 2 s a step: 10 s are 5 of 20 steps
}

TEST(Schedule, FractionFormFallsOverTheLastPartOfTheBudget) {
  TrainConfig c = make_config(WarmdownForm::kFraction);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 59.0), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 80.0), 0.5);
  c.min_lr = 0.1;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 100.0), 0.1);
  c.reserve_s = 20;  // the budget that counts is 80 s
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 7, 64.0), 0.5);
}

TEST(Schedule, WithoutACapBothFormsRunOverTheSteps) {
  TrainConfig c = make_config(WarmdownForm::kSteps);
  c.wallclock_s = 0;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 980, 5.0), 1.0);
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 990, 5.0), 0.5);
  c.warmdown_form = WarmdownForm::kFraction;
  EXPECT_DOUBLE_EQ(lr_multiplier(c, 800, 5.0), 0.5);
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

// 1,000 runs with caps of 5 to 60 s and steps whose length jitters by up to +-5 %: none ends after
// its cap, and none leaves more than two steps unused.
TEST(Schedule, TheLastStepEndsBeforeTheCap) {
  for (uint64_t run = 0; run < 1000; ++run) {
    const CounterRng rng(run, kStreamTest);
    const double cap_s = 5 + 55 * rng.uniform(0);
    const double mean_s = 0.02 + 0.5 * rng.uniform(1);
    StopPredictor predictor;
    double elapsed_s = 0;
    for (uint64_t step = 0; predictor.steps_fit(elapsed_s, 1, cap_s); ++step) {
      const double step_s = mean_s * (0.95 + 0.1 * rng.uniform(step + 2));
      elapsed_s += step_s;
      predictor.add_step(step_s);
    }
    EXPECT_LE(elapsed_s, cap_s) << "run " << run;
    EXPECT_GT(elapsed_s, cap_s - 2 * mean_s) << "run " << run;
  }
}

}  // namespace
}  // namespace pg
