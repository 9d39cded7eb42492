// What sits between the network's distribution and the score: experts that look at the tokens
// scored so far (n-grams, long matches) and reshape the network's distribution, always into another
// distribution over the whole vocabulary.
//
// Sparse form: only a few candidate tokens get a new probability; every other token keeps the
// network's, times one common factor. So the normaliser is exact and costs O(candidates), not O(V).
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

namespace pg {

// The network's distribution for one target, and nothing about the target itself.
struct NetworkDistribution {
  std::span<const float> logits;  // [V] softcapped
  float log_normaliser = 0;       // log sum exp of logits, nats
  float entropy_nats = 0;         // of the distribution

  float log_prob(int32_t token) const {
    return logits[static_cast<size_t>(token)] - log_normaliser;
  }
};

// p(a) = exp(log_probs[i]) for a = tokens[i], and exp(log_rest) p_network(a) for every other token.
// An empty one with log_rest = 0 is the network's distribution itself. Tokens are distinct.
struct MixedDistribution {
  static constexpr int kMaxCandidates = 64;
  int count = 0;
  std::array<int32_t, kMaxCandidates> tokens = {};
  std::array<float, kMaxCandidates> log_probs = {};  // nats
  float log_rest = 0;                                // nats
  // <parts>
  std::span<const float> all = {};  // log p of every token, and nothing else counts; [V] or empty
  // </parts>

  float log_prob(const NetworkDistribution& network, int32_t token) const {
    // <parts>
    if (!all.empty()) return all[static_cast<size_t>(token)];
    // </parts>
    for (int i = 0; i < count; ++i) {
      if (tokens[static_cast<size_t>(i)] == token) return log_probs[static_cast<size_t>(i)];
    }
    return network.log_prob(token) + log_rest;
  }
};

// Predict, then perceive: predict() may depend on the tokens that learn() was given before, in
// their order, and on nothing else; it changes nothing that state_hash() covers.
class TokenMixer {
 public:
  virtual ~TokenMixer() = default;
  virtual void predict(const NetworkDistribution& network, MixedDistribution& mixed) = 0;
  // The token of the target that the last predict() was for. A document's first token (BOS) comes
  // here like any other.
  virtual void learn(int32_t token) = 0;
  // <train_gpt>
  // Of everything that a later predict() depends on.
  virtual uint64_t state_hash() const = 0;
  // </train_gpt>
};

}  // namespace pg
