// A linear mixture over the whole vocabulary: what an expert that is no short list of candidates
// needs.
#pragma once
// <parts>
#include <span>

#include "eval/mix/token_mixer.h"
#include "src/base/exact_math.h"
#include "src/base/simd_math.h"

namespace pg {

// p(a) = (1 - weight) p_network(a) + scale claims[a]; scale times the sum of the claims is the
// weight. `log_probs` [V] holds the result and outlives `mixed`.
inline void blend_linearly(const NetworkDistribution& network, double weight, double scale,
                           std::span<const double> claims, std::span<float> log_probs,
                           MixedDistribution& mixed) {
  for (size_t a = 0; a < claims.size(); ++a) {
    const double log_prob = static_cast<double>(network.log_prob(static_cast<int32_t>(a)));
    log_probs[a] =
        static_cast<float>(log_f64((1 - weight) * exp_f64(log_prob) + scale * claims[a]));
  }
  mixed.count = 0;
  mixed.log_rest = 0;
  mixed.all = log_probs;
}

}  // namespace pg
// </parts>
