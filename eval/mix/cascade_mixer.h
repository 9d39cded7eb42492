// The n-gram cascade of PR #1033 as a distribution. There the highest order whose context was seen gives
// min(full, context) / context for the realised token alone, from hash tables that collide, and over the
// vocabulary such values sum to hundreds (eval/diagnosis/published_mixer.h). Here the same counts are
// divided by their sum over the vocabulary, and then mixed:
//   p(a) = (1 - w) p_network(a) + w c(a) / sum c, w = base + range sigmoid(slope (H - centre)).
// Below all orders stand the tokens' own counts, (n + 1/2) / (N + V/2). A token is counted as soon as it is
// scored; no n-gram crosses the text's start.
#pragma once
// <parts>
#include <array>
#include <cstdint>
#include <vector>

#include "eval/mix/mix_config.h"
#include "eval/mix/token_mixer.h"

namespace pg {

class CascadeMixer : public TokenMixer {
 public:
  CascadeMixer(const MixConfig& config, int64_t vocab_size);
  void predict(const NetworkDistribution& network, MixedDistribution& mixed) override;  // O(V)
  void learn(int32_t token) override;
  // </parts>
  // <train_gpt>
  uint64_t state_hash() const override;
  // </train_gpt>
  // <parts>

 private:
  struct Tables {
    std::vector<uint32_t> contexts, full;  // [buckets]
  };
  uint64_t hash_context(int64_t tokens) const;
  void fill_claims();

  MixConfig config_;
  uint64_t mask_;
  std::vector<Tables> orders_;    // from min_order on
  std::vector<uint32_t> tokens_;  // [V]: how often each was seen
  std::vector<double> claims_;    // [V]
  std::vector<float> log_probs_;  // [V]
  std::vector<int32_t> recent_;   // the last max_order - 1, the newest last
};

}  // namespace pg
// </parts>
