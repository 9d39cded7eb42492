// Everything that decides how an artifact is scored.
#pragma once
#include <utility>

#include "eval/learn/ttt_config.h"
#include "eval/mix/mix_config.h"
#include "eval/score/eval_config.h"

namespace pg {

struct ScoringConfig {
  EvalConfig eval;  // windows and budget
  TttConfig ttt;    // what learns from the scored text
  MixConfig mix;    // n-grams of the scored text
  // Implicit: windows alone are a way of scoring.
  ScoringConfig(EvalConfig eval_, TttConfig ttt_ = {}, MixConfig mix_ = {})
      : eval(std::move(eval_)), ttt(std::move(ttt_)), mix(std::move(mix_)) {}
};

}  // namespace pg
