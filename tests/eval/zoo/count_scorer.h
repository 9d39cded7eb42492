// A scorer small enough to audit in milliseconds: a fixed table of bigram logits stands for the
// network, counts of the scored tokens for what it learns. Legal as it is; the zoo derives legal
// variants and frauds from it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/audit/audit.h"
#include "eval/score/scorer.h"

namespace pg {

inline constexpr int64_t kZooVocab = 64;

// "Artifact weights": [V, V] logits of the next token; fits make_zoo_text() with the same seed.
std::vector<float> make_zoo_weights(uint64_t seed = 1);
// Documents of some 60 tokens, BOS first; most bigrams follow make_zoo_weights().
std::vector<int32_t> make_zoo_text(int64_t tokens, uint64_t seed = 1);
ByteTable make_zoo_bytes();
// The subject with the legal parts that all members of the zoo share.
AuditSubject make_zoo_subject(ScorerFactory make_scorer);
// A factory for S(arguments...).
template <class S, class... Args>
ScorerFactory make_factory(Args... arguments) {
  return [=] { return std::make_unique<S>(arguments...); };
}

class CountScorer : public Scorer {
 public:
  explicit CountScorer(int64_t chunk_targets = 24, bool learns = true)
      : chunk_targets_(chunk_targets), learns_(learns) {}

  std::vector<Chunk> plan_order(int64_t tokens) const override;
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override;
  void predict(int64_t target, TokenDistribution& distribution) override;
  void perceive(int64_t target, int32_t token) override;
  void close_chunk(const ScoredChunk& scored) override;
  uint64_t state_hash() const override;

 protected:
  // logits_ of one target, before they are normalised; uses the tokens before the target.
  virtual void fill_logits(int64_t target);
  // Reshapes the normalised distribution.
  virtual void mix(int64_t /*target*/, TokenDistribution& /*distribution*/) {}
  // log sum exp of logits_ into the distribution.
  void normalise(TokenDistribution& distribution) const;

  int32_t token_at(int64_t position) const { return known_[static_cast<size_t>(position)]; }
  uint64_t hash_counts() const;

  int64_t chunk_targets_;
  bool learns_;
  std::vector<float> weights_ = make_zoo_weights();
  Chunk chunk_;
  std::span<const int32_t> known_;
  std::vector<float> logits_ = std::vector<float>(kZooVocab);
  std::vector<int32_t> history_;                                           // perceived
  std::vector<float> counts_ = std::vector<float>(kZooVocab * kZooVocab);  // [V, V] bigrams
};

}  // namespace pg
