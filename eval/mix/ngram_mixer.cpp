#include "eval/mix/ngram_mixer.h"

#include <algorithm>

#include "eval/mix/candidate_math.h"
#include "src/base/exact_math.h"
#include "src/base/rng.h"
#include "src/base/simd_math.h"

namespace pg {
namespace {

constexpr float kMaxEvidence = 12;  // nats: what one expert can say of one token
// Bounds of a candidate's shift. The lower one also bounds by e what rounding in 1 - sum p_network
// over the candidates can add to the other tokens' mass.
constexpr float kMinShift = -1, kMaxShift = 20;
constexpr float kTinyProb = 1e-20f;

// body(i) for i in [0, count rounded up to a vector): candidates are few, and a vector of them
// costs less than the scalar rest of a loop. What lies above count is finite and unused.
template <class Body>
void for_vectors(size_t count, const Body& body) {
  constexpr size_t kVector = 16;
  static_assert(ExpertMasses::kMaxCandidates % kVector == 0);
  for (size_t begin = 0; begin < count; begin += kVector) {
#pragma omp simd
    for (size_t i = begin; i < begin + kVector; ++i) body(i);
  }
}

NgramExperts make_experts(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens) {
  return NgramExperts(static_cast<int>(config.min_order), static_cast<int>(config.max_order),
                      static_cast<int>(config.match_length), vocab_size, expected_tokens);
}

}  // namespace

LinearMixer::LinearMixer(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens)
    : base_(config.linear_base),
      range_(config.linear_range),
      slope_(config.linear_slope),
      centre_nats_(config.linear_centre_nats),
      experts_(make_experts(config, vocab_size, expected_tokens)) {}

void LinearMixer::predict(const NetworkDistribution& network, MixedDistribution& mixed) {
  const ExpertMasses& experts = experts_.predict();
  const auto count = static_cast<size_t>(experts.count);
  const double weight =
      base_ + range_ / (1 + exp_f64(-slope_ * (network.entropy_nats - centre_nats_)));
  // From the shortest context to the match: mass = mass_j + escape_j mass.
  std::array<double, ExpertMasses::kMaxCandidates> mass = {};
  double escape = 1;
  for (const size_t e : {2, 1, 0, ExpertMasses::kMatch}) {
    if (experts.escape[e] == 1.0f) continue;
    double expert_mass = 0;
    for (size_t i = 0; i < count; ++i) expert_mass += static_cast<double>(experts.mass[e][i]);
    const double expert_escape = std::max(1 - expert_mass, 0.0);
    for (size_t i = 0; i < count; ++i) {
      mass[i] = static_cast<double>(experts.mass[e][i]) + expert_escape * mass[i];
    }
    escape *= expert_escape;
  }
  const double keep = 1 - weight + weight * escape;
  mixed.count = experts.count;
  mixed.log_rest = static_cast<float>(log_f64(keep));
  for (size_t i = 0; i < count; ++i) {
    const double log_prob = static_cast<double>(network.log_prob(experts.tokens[i]));
    mixed.tokens[i] = experts.tokens[i];
    mixed.log_probs[i] = static_cast<float>(log_f64(keep * exp_f64(log_prob) + weight * mass[i]));
  }
}

LogitMixer::LogitMixer(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens)
    : learn_rate_(static_cast<float>(config.learn_rate)),
      experts_(make_experts(config, vocab_size, expected_tokens)),
      gate_(default_gate_weights()) {}

// Fills log_prob_, evidence_ and, with the gate's weights, shift_.
void LogitMixer::gather_evidence(const NetworkDistribution& network, const ExpertMasses& experts) {
  const auto count = static_cast<size_t>(experts.count);
  for (size_t i = 0; i < count; ++i) log_prob_[i] = network.log_prob(experts.tokens[i]);
  views_ = select_gate_views(experts, network.entropy_nats, log_prob_[best_candidate(experts)]);
  std::array<float, kMaxCandidates> inverse_prob;
  for_vectors(count, [&](size_t i) {
    const float prob = exp_simd(log_prob_[i]);
    inverse_prob[i] = 1.0f / (prob < kTinyProb ? kTinyProb : prob);
    shift_[i] = 0;
  });
  for (size_t e = 0; e < ExpertMasses::kExperts; ++e) {
    if (experts.escape[e] == 1.0f) {
      evidence_[e].fill(0);
      continue;
    }
    float weight = 0;
    for (const size_t view : views_) weight += gate_.weights[view][e];
    const float inverse_escape = 1.0f / experts.escape[e];
    for_vectors(count, [&](size_t i) {
      const float ratio = experts.mass[e][i] * inverse_escape * inverse_prob[i];
      const float nats = log_simd(1.0f + ratio);
      evidence_[e][i] = nats > kMaxEvidence ? kMaxEvidence : nats;
      shift_[i] += weight * evidence_[e][i];
    });
  }
  for_vectors(count, [&](size_t i) {
    const float shift = shift_[i] < kMinShift ? kMinShift : shift_[i];
    shift_[i] = shift > kMaxShift ? kMaxShift : shift;
  });
}

void LogitMixer::predict(const NetworkDistribution& network, MixedDistribution& mixed) {
  const ExpertMasses& experts = experts_.predict();
  masses_ = &experts;
  predicted_ = true;
  const auto count = static_cast<size_t>(experts.count);
  mixed.count = experts.count;
  mixed.log_rest = 0;
  if (count == 0) return;
  gather_evidence(network, experts);
  std::array<double, kMaxCandidates> prob, shifted;
  for_vectors(count, [&](size_t i) {
    const auto log_prob = static_cast<double>(log_prob_[i]);
    prob[i] = exp_f64(log_prob);
    shifted[i] = exp_f64(log_prob + static_cast<double>(shift_[i]));
  });
  // Z = sum p e^d over the candidates + p of the rest.
  double candidates = 0, normaliser = 0;
  for (size_t i = 0; i < count; ++i) candidates += prob[i];
  for (size_t i = 0; i < count; ++i) normaliser += shifted[i];
  normaliser += std::max(1 - candidates, 0.0);
  const double log_normaliser = log_f64(normaliser), inverse = 1 / normaliser;
  mixed.log_rest = static_cast<float>(-log_normaliser);
  for (size_t i = 0; i < count; ++i) {
    mixed.tokens[i] = experts.tokens[i];
    mixed.log_probs[i] = static_cast<float>(static_cast<double>(log_prob_[i]) +
                                            static_cast<double>(shift_[i]) - log_normaliser);
    mixed_prob_[i] = static_cast<float>(shifted[i] * inverse);
  }
}

// d(-ln p(x)) / d w_j = sum_a (p(a) - [a = x]) f_j(a).
void LogitMixer::learn_gate(int32_t token) {
  const auto count = static_cast<size_t>(masses_->count);
  if (count == 0) return;
  std::array<float, kMaxCandidates> surplus;  // [a = x] - p(a)
  for (size_t i = 0; i < count; ++i) {
    const float s = (masses_->tokens[i] == token ? 1.0f : 0.0f) - mixed_prob_[i];
    // A shift at its bound cannot follow any further.
    const bool is_stuck = (shift_[i] == kMinShift && s < 0) || (shift_[i] == kMaxShift && s > 0);
    surplus[i] = is_stuck ? 0.0f : s;
  }
  for (size_t e = 0; e < ExpertMasses::kExperts; ++e) {
    if (masses_->escape[e] == 1.0f) continue;
    float gradient = 0;
    for (size_t i = 0; i < count; ++i) gradient += surplus[i] * evidence_[e][i];
    for (const size_t view : views_) gate_.weights[view][e] += learn_rate_ * gradient;
  }
}

void LogitMixer::learn(int32_t token) {
  // First, because it asks the cache for the next token's counts. The gate learns on the masses of
  // the last predict(), which still stand.
  experts_.learn(token);
  if (predicted_) learn_gate(token);
  predicted_ = false;
}

// <train_gpt>
uint64_t LogitMixer::state_hash() const {
  return hash_memory(gate_.weights.data(), sizeof(gate_.weights), experts_.state_hash());
}
// </train_gpt>

}  // namespace pg
