// The n-gram tilt that the challenge accepted: where a long context was seen before and nearly
// always went on with one token, that token's logit is raised by a constant, p'(a) = p(a)
// e^(beta [a = hint]) / (1 + p(hint) (e^beta - 1)). The hint depends on the prefix alone.
//
// Unlike the accepted entries' XOR of products, whose keys had at most 34 bits, contexts are told
// apart exactly (context_counts.h), so nothing is hinted where nothing was repeated.
#pragma once
#include <cstdint>

#include "eval/mix/context_counts.h"
#include "eval/mix/mix_config.h"
#include "eval/mix/token_mixer.h"

namespace pg {

class TiltMixer : public TokenMixer {
 public:
  TiltMixer(const MixConfig& config, int64_t expected_tokens);
  void predict(const NetworkDistribution& network, MixedDistribution& mixed) override;
  void learn(int32_t token) override { counts_.learn(token); }
  // <train_gpt>
  uint64_t state_hash() const override { return counts_.state_hash(); }
  // </train_gpt>

 private:
  double beta_, threshold_;
  uint32_t min_count_;
  ContextCounts counts_;  // of one order
};

}  // namespace pg
