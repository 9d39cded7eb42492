// Keys of scoring that contradict each other are refused with the fix.
#include "eval/check_scoring.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "src/base/error.h"

namespace pg {
namespace {

std::string problem_of(const std::function<void(ScoringConfig&)>& change) {
  ScoringConfig config{EvalConfig()};
  change(config);
  try {
    check_scoring(config);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CheckScoring, WhatEachKindReadsPasses) {
  EXPECT_EQ(problem_of([](ScoringConfig&) {}), "");
  EXPECT_EQ(problem_of([](ScoringConfig& c) {
              c.ttt.kind = TttKind::kSgd;
              c.ttt.frozen_blocks = 2;
              c.ttt.frozen_scales = false;
              c.ttt.adaptive_lr_max = 3;
              c.ttt.byte_weighted = true;
            }),
            "");
  // Without a learner nothing of [ttt] is read, as ever: a recipe's learner may be switched off
  // alone.
  EXPECT_EQ(problem_of([](ScoringConfig& c) {
              c.ttt.frozen_scales = false;
              c.ttt.adaptive_lr_max = 3;
            }),
            "");
}

TEST(CheckScoring, AKeyWithoutEffectIsRefused) {
  EXPECT_NE(problem_of([](ScoringConfig& c) {
              c.ttt.kind = TttKind::kSgd;
              c.ttt.frozen_scales = false;
            }).find("set ttt.frozen_blocks"),
            std::string::npos);
  EXPECT_NE(problem_of([](ScoringConfig& c) {
              c.ttt.kind = TttKind::kLora;
              c.ttt.frozen_blocks = 2;
              c.ttt.frozen_scales = false;
            }).find("ttt.frozen_scales = true"),
            std::string::npos);
  EXPECT_NE(problem_of([](ScoringConfig& c) {
              c.ttt.kind = TttKind::kLora;
              c.ttt.scales_fraction = 0.5;
            }).find("ttt.scales_fraction = 0"),
            std::string::npos);
  EXPECT_NE(problem_of([](ScoringConfig& c) {
              c.ttt.kind = TttKind::kLora;
              c.ttt.cosine = false;
            }).find("ttt.cosine = true"),
            std::string::npos);
  for (const TttKind kind : {TttKind::kPhased, TttKind::kLora}) {
    EXPECT_NE(problem_of([kind](ScoringConfig& c) {
                c.ttt.kind = kind;
                c.ttt.adaptive_lr_max = 2;
              }).find("ttt.adaptive_lr_max = 1"),
              std::string::npos);
  }
}

TEST(CheckScoring, ContradictionsOfMixersAreFoundBeforeTraining) {
  EXPECT_NE(problem_of([](ScoringConfig& c) {
              c.mix.kind = MixKind::kPpm;
              c.mix.ppm_weight = 0;
            }).find("mix.kind = \"none\""),
            std::string::npos);
  EXPECT_NE(problem_of([](ScoringConfig& c) { c.mix.min_order = 11; }).find("mix.min_order"),
            std::string::npos);
}

}  // namespace
}  // namespace pg
