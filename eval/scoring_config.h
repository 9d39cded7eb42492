// Everything that decides how an artifact is scored.
#pragma once
#include "eval/learn/ttt_config.h"
#include "eval/mix/mix_config.h"
#include "eval/score/eval_config.h"

namespace pg {

struct ScoringConfig {
  EvalConfig eval;           // windows and budget
  TttConfig ttt;             // what learns from the scored text
  MixConfig mix;             // n-grams of the scored text
  int64_t first_tokens = 0;  // of the stream are scored; 0: all
  // Implicit: windows alone are a way of scoring.
  ScoringConfig(const EvalConfig& eval_, const TttConfig& ttt_ = {}, const MixConfig& mix_ = {})
      : eval(eval_), ttt(ttt_), mix(mix_) {}
};

}  // namespace pg
