// Which counted code a way of scoring needs: the one place where keys of a recipe choose the bundle.
#pragma once
#include <algorithm>

#include "eval/scoring_config.h"
#include "quant/method/seal.h"
#include "src/base/stored_keys.h"
#include "src/model/model_config.h"

namespace pg {

// Whether an artifact of the model names a key of its parts.
inline bool uses_parts(const ModelConfig& model) {
  KeyWriter writer(frozen_model_keys());
  visit_part_fields(
      model, [&](const FieldInfo& info, const auto& member) { writer("model", info, member); });
  return !writer.text().empty();
}

inline CodeFeatures code_features(const ModelConfig& model, const ScoringConfig& scoring,
                                  Coder coder) {
  return {.learns = scoring.ttt.kind != TttKind::kNone,
          .mixes = scoring.mix.kind != MixKind::kNone,
          .parts = uses_parts(model),
          .coder = coder};
}

// By the artifact's coder.
inline CodeSizes code_sizes(const ModelConfig& model, const ScoringConfig& scoring) {
  CodeSizes sizes(0);
  std::ranges::transform(kCoders, sizes.by_coder.begin(), [&](Coder coder) {
    return counted_code_bytes(code_features(model, scoring, coder));
  });
  return sizes;
}

}  // namespace pg
