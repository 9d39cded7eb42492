// A diagnostic, not a mixer: the arithmetic of the n-gram cache that PR #1033 published at 0.43
// bits per byte. What it calls a probability is NOT one: it looks up only the realised token, in
// hash tables whose key includes that token, and over the vocabulary the values sum to hundreds.
// On random tokens it "compresses" 10 bits to 2. Kept to show this in seconds, and what the same
// counts are worth once they are divided by their sum.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pg {

struct PublishedMixerOptions {
  int64_t buckets = 4'194'304;  // a power of two, per order and table
  int64_t chunk_tokens = 32'768;
  int64_t active_after_tokens = 10'000;
};

class PublishedMixer {
 public:
  static constexpr int kMinOrder = 2, kMaxOrder = 10;

  PublishedMixer(int64_t vocab_size, const PublishedMixerOptions& options);

  // What the published scorer used as the n-grams' probability of `token` coming next.
  double claimed_probability(int32_t token) const;
  // The same divided by its sum over the vocabulary: a probability. Takes O(V orders) time.
  double normalised_probability(int32_t token) const;
  double sum_over_vocabulary() const;
  // Weight of the n-grams in p = (1 - w) p_network + w p_ngram; 0 before the start.
  double weight(double entropy_nats) const;

  // Counts are updated when a chunk is complete; no n-gram reaches across chunks.
  void learn(int32_t token);

 private:
  static constexpr size_t kOrders = kMaxOrder - kMinOrder + 1;

  void count_chunk();

  int64_t vocab_size_;
  PublishedMixerOptions options_;
  std::array<std::vector<uint32_t>, kOrders> context_counts_, full_counts_;  // [buckets]
  std::vector<uint32_t> token_counts_;                                       // [V]
  int64_t counted_tokens_ = 0;
  int64_t learnt_tokens_ = 0;
  std::vector<int32_t> chunk_;   // tokens not counted yet
  std::vector<int32_t> recent_;  // the last kMaxOrder - 1, across chunks: lookups reach across
};

struct RandomTokenCost {
  double claimed_bits = 0;         // per token, over the whole stream
  double claimed_bits_late = 0;    // over its last tenth
  double normalised_bits = 0;      // per token, at sampled positions
  double standard_error = 0;       // of normalised_bits
  double sum_over_vocabulary = 0;  // mean at sampled positions; 1 for a probability
};

// Cost of i.i.d. uniform tokens, log2(vocab_size) bits each to any code, with a uniform network.
RandomTokenCost published_cost_on_random_tokens(int64_t tokens, int64_t vocab_size, uint64_t seed,
                                                const PublishedMixerOptions& options = {});

}  // namespace pg
