#include "tests/eval/zoo/count_scorer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "src/base/rng.h"

namespace pg {

std::vector<float> make_zoo_weights(uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<float> weights(kZooVocab * kZooVocab);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(1.5 * rng.normal(i));
  return weights;
}

std::vector<int32_t> make_zoo_text(int64_t tokens, uint64_t seed) {
  const CounterRng rng(seed, kStreamSampling);
  const std::vector<float> weights = make_zoo_weights(seed);
  std::vector<int32_t> text = {kBosId};
  while (static_cast<int64_t>(text.size()) < tokens) {
    const uint64_t at = text.size();
    if (rng.below(3 * at, 60) == 0) {
      text.push_back(kBosId);
      continue;
    }
    // Repeats, so that caches and match models have something to find.
    const uint64_t repeat = rng.below(3 * at + 1, 8);
    if (repeat < 3 && at > 40) {
      const auto from = static_cast<size_t>(rng.below(3 * at + 2, 20));
      for (size_t i = 0; i < 6; ++i) text.push_back(text[from + i]);
      continue;
    }
    const auto row = static_cast<size_t>(text.back()) * kZooVocab;
    double total = 0, sums[kZooVocab];
    for (size_t a = 0; a < kZooVocab; ++a) sums[a] = total += std::exp(double{weights[row + a]});
    const double draw = rng.uniform(3 * at + 2) * total;
    const auto drawn = std::upper_bound(sums, sums + kZooVocab - 1, draw) - sums;
    text.push_back(std::max<int32_t>(static_cast<int32_t>(drawn), kBosId + 1));
  }
  text.resize(static_cast<size_t>(tokens));
  return text;
}

ByteTable make_zoo_bytes() {
  ByteTable table;
  for (uint16_t id = 0; id < kZooVocab; ++id) {
    const bool is_control = id < 4;
    table.bytes.push_back(is_control ? 0 : static_cast<uint16_t>(1 + id % 4));
    table.leading_space.push_back(!is_control && id % 3 == 0 ? 1 : 0);
    table.boundary.push_back(is_control ? 1 : 0);
  }
  return table;
}

AuditSubject make_zoo_subject(ScorerFactory make_scorer) {
  static const ByteTable kTable = make_zoo_bytes();
  AuditSubject subject;
  subject.make_scorer = std::move(make_scorer);
  subject.vocab_size = kZooVocab;
  subject.bytes = &kTable;
  subject.recount_bytes = [](std::span<const int32_t> stream) {
    int64_t bytes = 0;
    for (size_t i = 1; i < stream.size(); ++i) {
      if (stream[i] < 4) continue;
      bytes += 1 + stream[i] % 4 + (stream[i] % 3 == 0 && stream[i - 1] >= 4 ? 1 : 0);
    }
    return bytes;
  };
  return subject;
}

std::vector<Chunk> CountScorer::plan_order(int64_t tokens) const {
  std::vector<Chunk> chunks;
  for (int64_t first = 1; first < tokens; first += chunk_targets_) {
    chunks.push_back({first, std::min(chunk_targets_, tokens - first)});
  }
  return chunks;
}

void CountScorer::open_chunk(const Chunk& chunk, std::span<const int32_t> known) {
  chunk_ = chunk;
  known_ = known;
}

void CountScorer::fill_logits(int64_t target) {
  const auto row = static_cast<size_t>(token_at(target - 1)) * kZooVocab;
  for (size_t a = 0; a < kZooVocab; ++a) {
    logits_[a] = weights_[row + a] + 0.5f * std::log1p(counts_[row + a]);
  }
}

void CountScorer::normalise(TokenDistribution& distribution) const {
  double sum = 0, mean = 0;
  for (const float logit : logits_) {
    const double e = std::exp(static_cast<double>(logit));
    sum += e;
    mean += e * static_cast<double>(logit);
  }
  distribution.network = {.logits = logits_,
                          .log_normaliser = static_cast<float>(std::log(sum)),
                          .entropy_nats = static_cast<float>(std::log(sum) - mean / sum)};
}

void CountScorer::predict(int64_t target, TokenDistribution& distribution) {
  fill_logits(target);
  normalise(distribution);
  distribution.mixed.count = 0;
  distribution.mixed.log_rest = 0;
  mix(target, distribution);
}

void CountScorer::perceive(int64_t target, int32_t token) {
  history_.push_back(token);
  if (!learns_) return;
  const auto row = static_cast<size_t>(token_at(target - 1)) * kZooVocab;
  counts_[row + static_cast<size_t>(token)] += 1;
}

void CountScorer::close_chunk(const ScoredChunk&) {}

uint64_t CountScorer::hash_counts() const {
  uint64_t hash = history_.size();
  for (const float count : counts_) hash = mix64(hash ^ std::bit_cast<uint32_t>(count));
  return hash;
}

uint64_t CountScorer::state_hash() const { return hash_counts(); }

}  // namespace pg
