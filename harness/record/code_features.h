// Which counted code a way of scoring needs: the one place where keys of a recipe choose the bundle.
#pragma once
#include <algorithm>
#include <string>

#include "eval/scoring_config.h"
#include "eval/scoring_keys.h"
#include "quant/method/seal.h"
#include "src/base/stored_keys.h"
#include "src/model/model_config.h"

namespace pg {

// Whether adapters stand beside whole branches, which are targets of a key that every set has.
inline bool adapts_branches(const TttConfig& ttt) {
  if (ttt.kind != TttKind::kLora && ttt.kind != TttKind::kPhasedLora) return false;
  const std::string targets = "," + ttt.lora_targets + ",";
  return targets.find(",attn,") != std::string::npos || targets.find(",mlp,") != std::string::npos;
}

// Whether an artifact names a key or a value that stands between "// <parts>" marks.
inline bool uses_parts(const ModelConfig& model, const ScoringConfig& scoring) {
  KeyWriter of_model(frozen_model_keys()), of_scoring(frozen_scoring_keys());
  const auto in_section = [](KeyWriter& writer, const char* section) {
    return [&writer, section](const FieldInfo& info, const auto& member) {
      writer(section, info, member);
    };
  };
  visit_part_fields(model, in_section(of_model, "model"));
  visit_window_part_fields(scoring.eval, in_section(of_scoring, "eval"));
  if (scoring.ttt.kind != TttKind::kNone) {
    visit_ttt_part_fields(scoring.ttt, in_section(of_scoring, "ttt"));
  }
  if (scoring.mix.kind != MixKind::kNone) {
    visit_mix_part_fields(scoring.mix, in_section(of_scoring, "mix"));
  }
  return !of_model.text().empty() || !of_scoring.text().empty() ||
         scoring.mix.kind == MixKind::kCascade || scoring.mix.kind == MixKind::kPpm ||
         scoring.ttt.kind == TttKind::kPhasedLora || adapts_branches(scoring.ttt);
}

inline CodeFeatures code_features(const ModelConfig& model, const ScoringConfig& scoring,
                                  Coder coder) {
  return {.learns = scoring.ttt.kind != TttKind::kNone,
          .mixes = scoring.mix.kind != MixKind::kNone,
          .parts = uses_parts(model, scoring),
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
