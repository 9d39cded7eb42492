// What is kept free of the budget, and when training ends. How well that does on the step times of
// a real run: tests/harness/time_budget_test.cpp.
#include "src/train/stop_predictor.h"

#include <gtest/gtest.h>

#include "src/base/rng.h"

namespace pg {
namespace {

TrainConfig make_config(double wallclock_s, double reserve_s = 0) {
  TrainConfig config;
  config.wallclock_s = wallclock_s;
  config.reserve_s = reserve_s;
  return config;
}

TEST(StopPredictor, WithoutACapEveryStepFits) {
  StopPredictor predictor(make_config(0), 5);
  predictor.add_step(100);
  EXPECT_TRUE(predictor.steps_fit(1e9, 1000));
  EXPECT_EQ(predictor.end_s(), 0);
}

// A step is as long as the longest of the run, unless that was a stall long ago.
TEST(StopPredictor, TheLongestStepIsRememberedAndAStallIsNot) {
  StopPredictor predictor(make_config(1000), 0);
  predictor.add_step(2);
  for (int i = 0; i < 200; ++i) predictor.add_step(1);
  EXPECT_DOUBLE_EQ(predictor.predicted_step_s(), StopPredictor::kStepMargin * 2);
  predictor.add_step(50);
  EXPECT_DOUBLE_EQ(predictor.predicted_step_s(), StopPredictor::kStepMargin * 50);
  for (int i = 0; i < 200; ++i) predictor.add_step(1);
  EXPECT_NEAR(predictor.predicted_step_s(), StopPredictor::kStepMargin * StopPredictor::kMostOfMean,
              1e-9);
}

// Rehearsed in 3 s: at the speed of now or of the run's slowest time, within a limit, and never faster
// than the rehearsal.
TEST(StopPredictor, WhatIsKeptFreeFollowsTheSpeedOfTheMachine) {
  StopPredictor predictor(make_config(1000), 3);
  EXPECT_DOUBLE_EQ(predictor.reserve_s(), StopPredictor::kRestMargin * 3);
  for (int i = 0; i < 100; ++i) predictor.add_step(1);
  EXPECT_NEAR(predictor.reserve_s(), StopPredictor::kRestMargin * 3, 1e-9);
  for (int i = 0; i < 50; ++i) predictor.add_step(2);  // something else runs there now
  EXPECT_NEAR(predictor.reserve_s(), StopPredictor::kRestMargin * 6, 1e-3);
  for (int i = 0; i < 50; ++i) predictor.add_step(1);  // no more
  EXPECT_NEAR(predictor.reserve_s(),
              StopPredictor::kRestMargin * 3 * StopPredictor::kSlowAgain * 1.25, 1e-3);
}

TEST(StopPredictor, TheRecipeLimitsWhatIsKeptFree) {
  const StopPredictor limited(make_config(100, 2), 3), ample(make_config(100, 20), 3);
  EXPECT_DOUBLE_EQ(limited.reserve_s(), 2);
  EXPECT_DOUBLE_EQ(ample.reserve_s(), StopPredictor::kRestMargin * 3);
}

// Steps of one length, 10 s kept free of 100 s: the last one ends where the learning rate does.
TEST(StopPredictor, TheEndIsWhereTrainingStops) {
  StopPredictor predictor(make_config(100, 10), 20);
  double elapsed_s = 0;
  while (predictor.steps_fit(elapsed_s, 1)) {
    predictor.add_step(0.5);
    elapsed_s += 0.5;
  }
  EXPECT_LE(elapsed_s, 90);
  EXPECT_NEAR(predictor.end_s(), 90 - 0.15 * 0.5, 1e-9);
  EXPECT_NEAR(elapsed_s, predictor.end_s(), 0.5);
  EXPECT_FALSE(predictor.steps_fit(elapsed_s - 0.5, 2));
}

TEST(StopPredictor, AResumedRunPredictsTheSameStep) {
  StopPredictor whole(make_config(100), 1);
  const CounterRng rng(1, kStreamTest);
  for (uint64_t i = 0; i < 300; ++i) whole.add_step(0.2 + 0.1 * rng.uniform(i));
  const std::vector<double> kept_s = whole.steps_to_keep_s();
  ASSERT_EQ(kept_s.size(), StopPredictor::kWindow + 1);
  StopPredictor resumed(make_config(100), 1);
  for (const double seconds : kept_s) resumed.add_step(seconds);
  EXPECT_DOUBLE_EQ(resumed.predicted_step_s(), whole.predicted_step_s());
  EXPECT_EQ(resumed.steps_to_keep_s(), kept_s);
  EXPECT_TRUE(StopPredictor(make_config(100), 1).steps_to_keep_s().empty());
}

}  // namespace
}  // namespace pg
