#include "harness/record/score_name.h"

#include <fmt/format.h>

namespace pg {
namespace {

// Each kind says what it is: a new one does not compile without.
const char* describe(TttKind kind) {
  switch (kind) {
    case TttKind::kNone:
      return "";
    case TttKind::kSgd:
      return " + SGD";
    case TttKind::kPhased:
      return " + phased SGD";
    case TttKind::kLora:
      return " + LoRA";
    case TttKind::kPhasedLora:
      return " + phased LoRA";
  }
  return "";
}

const char* describe(MixKind kind) {
  switch (kind) {
    case MixKind::kNone:
      return "";
    case MixKind::kLinear:
    case MixKind::kLogit:
    case MixKind::kCascade:
    case MixKind::kPpm:
      return " + n-grams";
    case MixKind::kTilt:
      return " + n-gram tilt";
  }
  return "";
}

}  // namespace

ScoreName name_score(const Recipe& recipe) {
  const bool learns = recipe.ttt.kind != TttKind::kNone, mixes = recipe.mix.kind != MixKind::kNone;
  ScoreName name;
  name.is_plain = !learns && !mixes;
  name.line = name.is_plain
                  ? fmt::format("final_int{}_sliding_window", recipe.quant.matrix_bits)
                  : fmt::format("legal{}{}", learns ? "_ttt" : "", mixes ? "_ngram_mix" : "");
  name.column = fmt::format("sliding{}{}{}", describe(recipe.ttt.kind),
                            learns && recipe.ttt.by_document ? " by document" : "",
                            describe(recipe.mix.kind));
  return name;
}

}  // namespace pg
