// Which counted code a way of scoring needs: the one place where keys of a recipe choose the bundle.
#pragma once
#include "eval/scoring_config.h"
#include "quant/method/seal.h"

namespace pg {

inline CodeFeatures code_features(const ScoringConfig& scoring) {
  return {.learns = scoring.ttt.kind != TttKind::kNone,
          .mixes = scoring.mix.kind != MixKind::kNone};
}

}  // namespace pg
