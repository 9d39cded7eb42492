// Which counted code a way of scoring needs: the one place where keys of a recipe choose the bundle.
#pragma once
#include <algorithm>

#include "eval/scoring_config.h"
#include "quant/method/seal.h"

namespace pg {

inline CodeFeatures code_features(const ScoringConfig& scoring, Coder coder) {
  return {.learns = scoring.ttt.kind != TttKind::kNone,
          .mixes = scoring.mix.kind != MixKind::kNone,
          .coder = coder};
}

// By the artifact's coder.
inline CodeSizes code_sizes(const ScoringConfig& scoring) {
  CodeSizes sizes(0);
  std::ranges::transform(kCoders, sizes.by_coder.begin(), [&](Coder coder) {
    return counted_code_bytes(code_features(scoring, coder));
  });
  return sizes;
}

}  // namespace pg
