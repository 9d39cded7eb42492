#include "eval/mix/tilt_mixer.h"

#include "src/base/exact_math.h"
#include "src/base/simd_math.h"

namespace pg {

TiltMixer::TiltMixer(const MixConfig& config, int64_t expected_tokens)
    : beta_(config.tilt_beta),
      threshold_(config.tilt_threshold),
      min_count_(static_cast<uint32_t>(config.tilt_min_count)),
      counts_(static_cast<int>(config.tilt_order), static_cast<int>(config.tilt_order),
              expected_tokens) {}

void TiltMixer::predict(const NetworkDistribution& network, MixedDistribution& mixed) {
  mixed.count = 0;
  mixed.log_rest = 0;
  SeenContext seen;
  if (counts_.seen_contexts({&seen, 1}) == 0 || seen.total < min_count_) return;
  const Successor best = seen.successors.front();
  if (best.count < threshold_ * seen.total) return;
  const auto log_prob = static_cast<double>(network.log_prob(best.token));
  const double log_normaliser = log_f64(1 + exp_f64(log_prob) * (exp_f64(beta_) - 1));
  mixed.count = 1;
  mixed.tokens[0] = best.token;
  mixed.log_probs[0] = static_cast<float>(log_prob + beta_ - log_normaliser);
  mixed.log_rest = static_cast<float>(-log_normaliser);
}

}  // namespace pg
