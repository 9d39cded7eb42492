// The gate of the logit mixer: how much each expert's evidence counts, in each situation. Weights
// are added over three views of the situation (as the weight sets of PAQ's mixer are selected by
// small contexts) and learnt online.
#pragma once
#include <array>
#include <cstdint>

#include "eval/mix/ngram_experts.h"

namespace pg {

struct GateWeights {
  static constexpr int kContextViews = (ContextCounts::kMaxOrder + 1) * 4;  // order, determinism
  static constexpr int kMatchViews = MatchModel::kBuckets * 2;              // length, agreement
  static constexpr int kNetworkViews = 8 * 4;  // entropy, probability of the best candidate
  static constexpr int kViews = kContextViews + kMatchViews + kNetworkViews;

  std::array<std::array<float, ExpertMasses::kExperts>, kViews> weights = {};
};

// Where learning starts: the best context and the match count most.
GateWeights default_gate_weights();

// Rows of GateWeights::weights that apply; of prefix and network only.
using GateViews = std::array<size_t, 3>;
GateViews select_gate_views(const ExpertMasses& experts, float entropy_nats,
                            float log_prob_of_best);
// The candidate that the strongest expert favours: the match's, else the longest context's most
// frequent one. Only when there are candidates.
inline size_t best_candidate(const ExpertMasses& experts) {
  return experts.match_candidate >= 0 ? static_cast<size_t>(experts.match_candidate) : 0;
}

}  // namespace pg
