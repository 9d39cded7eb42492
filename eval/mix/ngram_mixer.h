// The network's distribution reshaped by the n-gram and match experts, in one of two ways. Both
// change the candidates' probabilities and scale the rest, so the sum over the vocabulary is 1 by a
// closed form.
#pragma once
#include <array>
#include <cstdint>

#include "eval/mix/gate.h"
#include "eval/mix/mix_config.h"
#include "eval/mix/ngram_experts.h"
#include "eval/mix/token_mixer.h"

namespace pg {

// p = (1 - w) p_network + w p_experts, w = base + range sigmoid(slope (H - centre)), H the
// network's entropy. p_experts interpolates: the match, escaping to the longest context, and so on
// down to the network.
class LinearMixer : public TokenMixer {
 public:
  LinearMixer(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens);
  void predict(const NetworkDistribution& network, MixedDistribution& mixed) override;
  void learn(int32_t token) override { experts_.learn(token); }
  // <train_gpt>
  uint64_t state_hash() const override { return experts_.state_hash(); }
  // </train_gpt>
  const NgramExperts& experts() const { return experts_; }

 private:
  double base_, range_, slope_, centre_nats_;
  NgramExperts experts_;
};

// logit'(a) = logit(a) + d_a, d_a = sum_j w_j f_j(a), f_j(a) = ln(p_j(a) / (escape_j
// p_network(a))): geometric mixing of the experts' distributions, zero where no expert lists a. The
// weights w come from the gate and follow the gradient of the log loss after each token. The
// accepted n-gram tilt is the case of one candidate and a constant d.
class LogitMixer : public TokenMixer {
 public:
  LogitMixer(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens);
  void predict(const NetworkDistribution& network, MixedDistribution& mixed) override;
  void learn(int32_t token) override;
  // <train_gpt>
  uint64_t state_hash() const override;
  // </train_gpt>
  const NgramExperts& experts() const { return experts_; }

 private:
  static constexpr size_t kMaxCandidates = ExpertMasses::kMaxCandidates;

  void gather_evidence(const NetworkDistribution& network, const ExpertMasses& experts);
  void learn_gate(int32_t token);

  float learn_rate_;
  NgramExperts experts_;
  GateWeights gate_;

  // Of the last predict().
  bool predicted_ = false;
  const ExpertMasses* masses_ = nullptr;
  GateViews views_ = {};
  std::array<float, kMaxCandidates> log_prob_ = {};  // of the network
  std::array<std::array<float, kMaxCandidates>, ExpertMasses::kExperts> evidence_ = {};  // f
  std::array<float, kMaxCandidates> shift_ = {};                                         // d
  std::array<float, kMaxCandidates> mixed_prob_ = {};
};

}  // namespace pg
