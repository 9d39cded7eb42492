// Keys of scoring that contradict each other are refused with the fix.
#include "eval/check_scoring.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

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

TEST(CheckScoring, PartsOfAStepDivideItsRows) {
  const auto problem_with = [](TttKind kind, int64_t leaves) {
    return problem_of([&](ScoringConfig& c) {
      c.eval.context = 64;
      c.ttt.batch_tokens = 12 * 64;
      c.ttt.kind = kind;
      c.ttt.gradient_leaves = leaves;
    });
  };
  EXPECT_EQ(problem_with(TttKind::kSgd, 4), "");
  EXPECT_EQ(problem_with(TttKind::kPhasedLora, 2), "");
  EXPECT_EQ(problem_with(TttKind::kLora, 1), "");
  for (const auto& [kind, leaves] :
       {std::pair(TttKind::kSgd, 8), {TttKind::kPhased, 3}, {TttKind::kLora, 2}}) {
    EXPECT_NE(problem_with(kind, leaves).find("give a power of two that divides the rows"),
              std::string::npos)
        << choice_name(kind);
  }
}

TEST(CheckScoring, DocumentsNeedAdaptersWindowsAndAReset) {
  const auto make = [](ScoringConfig& c) {
    c.eval.windows = Windows::kDocument;
    c.ttt.kind = TttKind::kPhasedLora;
    c.ttt.by_document = true;
    c.ttt.phase_documents = 3;
    c.ttt.lora_clipped = false;
    c.ttt.lora_per_run = true;
  };
  const auto problem_with = [&](const std::function<void(ScoringConfig&)>& change) {
    return problem_of([&](ScoringConfig& c) {
      make(c);
      change(c);
    });
  };
  EXPECT_EQ(problem_with([](ScoringConfig&) {}), "");
  const std::pair<std::function<void(ScoringConfig&)>, const char*> defects[] = {
      {[](ScoringConfig& c) { c.ttt.kind = TttKind::kPhased; }, "set ttt.kind = \"lora\""},
      {[](ScoringConfig& c) { c.eval.windows = Windows::kStream; },
       "set eval.windows = \"document\""},
      {[](ScoringConfig& c) { c.ttt.lora_reset = LoraReset::kNone; },
       "set ttt.lora_reset = \"warm\""},
      {[](ScoringConfig& c) { c.ttt.kind = TttKind::kLora; }, "or ttt.phase_documents = 0"},
      {[](ScoringConfig& c) { c.ttt.phases = 4; }, "give at least 4"},
      {[](ScoringConfig& c) {
         c.ttt.kind = TttKind::kPhased;
         c.ttt.by_document = false;
       },
       "ttt.lora_per_run is true and ttt.lora_clipped false"},
      {[](ScoringConfig& c) {
         c.ttt.lora_queues = 2;
         c.ttt.lora_reset = LoraReset::kFull;
       },
       "ttt.lora_queues is \"2\", but a document takes nothing up"},
      {[](ScoringConfig& c) {
         c.ttt.lora_queues = 2;
         c.ttt.by_document = false;
       },
       "set ttt.by_document = true with ttt.lora_reset = \"warm\""},
  };
  for (const auto& [change, fix] : defects) {
    EXPECT_NE(problem_with(change).find(fix), std::string::npos) << problem_with(change);
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
