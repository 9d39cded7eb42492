#include "eval/mix/gate.h"

namespace pg {
namespace {

constexpr std::array<float, 7> kEntropyStart_nats = {0.25f, 0.5f, 1, 1.5f, 2, 3, 4};
constexpr std::array<float, 3> kLogProbStart = {-4.6f, -1.6f, -0.35f};  // 1 %, 20 %, 70 %

template <size_t n>
size_t bucket_of(const std::array<float, n>& starts, float value) {
  size_t bucket = 0;
  for (const float start : starts) bucket += value >= start ? 1 : 0;
  return bucket;
}

}  // namespace

GateWeights default_gate_weights() {
  GateWeights start;
  // Split over the three views, so that a weight is what the sum is.
  constexpr std::array<float, ExpertMasses::kExperts> kSum = {0.3f, 0.0f, 0.0f, 0.3f};
  for (auto& row : start.weights) {
    for (size_t e = 0; e < row.size(); ++e) row[e] = kSum[e] / 3;
  }
  return start;
}

GateViews select_gate_views(const ExpertMasses& experts, float entropy_nats,
                            float log_prob_of_best) {
  const bool is_deterministic = experts.highest_distinct <= 1;
  const size_t certainty = is_deterministic ? (experts.highest_total <= 1   ? 0
                                               : experts.highest_total <= 3 ? 1
                                                                            : 2)
                                            : 3;
  // Candidate 0 is the longest context's favourite, where there is a context.
  const bool agrees = experts.match_candidate == 0;
  const size_t context_view = static_cast<size_t>(experts.highest_order) * 4 + certainty;
  const size_t match_view = static_cast<size_t>(experts.match_bucket) * 2 + (agrees ? 1 : 0);
  const size_t network_view =
      bucket_of(kEntropyStart_nats, entropy_nats) * 4 + bucket_of(kLogProbStart, log_prob_of_best);
  return {context_view, GateWeights::kContextViews + match_view,
          GateWeights::kContextViews + GateWeights::kMatchViews + network_view};
}

}  // namespace pg
