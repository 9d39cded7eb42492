// A scorer of a few lines that learns: counts of tokens by the token before. For tests of what
// stands around scorers.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/scorer.h"
#include "src/base/hash.h"

namespace pg {

class ToyScorer final : public Scorer {
 public:
  explicit ToyScorer(int64_t vocab_size, int64_t chunk_targets = 7)
      : vocab_(vocab_size),
        chunk_targets_(chunk_targets),
        counts_(static_cast<size_t>(vocab_size * vocab_size), 1.0),
        logits_(static_cast<size_t>(vocab_size)) {}

  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks;
    for (int64_t first = 1; first < tokens; first += chunk_targets_) {
      chunks.push_back({.first = first, .count = std::min(chunk_targets_, tokens - first)});
    }
    return chunks;
  }
  void open_chunk(const Chunk&, std::span<const int32_t> known) override { known_ = known; }
  void predict(int64_t target, TokenDistribution& distribution) override {
    row_ = static_cast<size_t>(known_[static_cast<size_t>(target) - 1] * vocab_);
    double mass = 0;
    for (size_t a = 0; a < logits_.size(); ++a) mass += counts_[row_ + a];
    for (size_t a = 0; a < logits_.size(); ++a) {
      logits_[a] = static_cast<float>(std::log(counts_[row_ + a] / mass));
    }
    distribution.network = {.logits = logits_, .log_normaliser = 0, .entropy_nats = 0};
    distribution.mixed = {};
  }
  void perceive(int64_t, int32_t token) override {
    counts_[row_ + static_cast<size_t>(token)] += 2;
  }
  void close_chunk(const ScoredChunk&) override {}
  uint64_t state_hash() const override {
    return fnv1a(
        {reinterpret_cast<const uint8_t*>(counts_.data()), counts_.size() * sizeof(double)});
  }

 private:
  int64_t vocab_, chunk_targets_;
  std::vector<double> counts_;  // [previous, next]
  std::vector<float> logits_;
  std::span<const int32_t> known_;
  size_t row_ = 0;  // of counts_, of the last prediction
};

}  // namespace pg
