// Prediction by partial matching over tokens (PPM, Cleary and Witten 1984), escapes by method C
// (Moffat 1990), with exclusion, and blended with the network at a fixed weight w (PRs #398 and
// #511, where it gained nothing):
//   p(a) = (1 - w) p_network(a) + w p_ppm(a).
// From the longest context that was seen down to the shortest, then from the tokens' own counts: of
// the tokens that nothing longer has had, with counts c, n their sum and q how many were seen,
//   p_ppm(a) = e c(a) / (n + q), and e q / (n + q) is left to what is shorter; e is 1 at first.
// Tokens that were never seen share what is left at last; where all were, q counts as 0. A token is
// counted as soon as it is scored. formulas.md 6.4.
#pragma once
// <parts>
#include <cstdint>
#include <vector>

#include "eval/mix/context_counts.h"
#include "eval/mix/mix_config.h"
#include "eval/mix/token_mixer.h"

namespace pg {

class PpmMixer : public TokenMixer {
 public:
  PpmMixer(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens);
  void predict(const NetworkDistribution& network, MixedDistribution& mixed) override;  // O(V)
  void learn(int32_t token) override;
  // </parts>
  // <train_gpt>
  uint64_t state_hash() const override;
  // </train_gpt>
  // <parts>

 private:
  void fill_probs();
  template <class VisitCounts>
  void add_counts(const VisitCounts& visit_counts);

  double weight_;
  ContextCounts counts_;
  std::vector<uint32_t> tokens_;  // [V]: how often each was seen
  // Of the last predict().
  std::vector<double> probs_;     // [V]: 0 until a context has had it
  double left_ = 1;               // probability of the others
  size_t others_ = 0;             // how many they are
  std::vector<float> log_probs_;  // [V]
};

}  // namespace pg
// </parts>
