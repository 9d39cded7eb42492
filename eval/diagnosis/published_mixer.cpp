#include "eval/diagnosis/published_mixer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "src/base/check.h"
#include "src/base/rng.h"

namespace pg {
namespace {

constexpr std::array<uint64_t, 7> kPrimes = {36313, 27191, 51647, 81929, 131071, 174763, 233017};
constexpr uint32_t kMinCount = 2;
constexpr double kBaseWeight = 0.20, kWeightRange = 0.55, kSlope = 2.0, kCentre_nats = 3.0;
constexpr size_t kSamples = 512;  // positions whose sum over the vocabulary is taken

uint64_t term(int32_t token, size_t place) {
  return static_cast<uint64_t>(token) * kPrimes[place % kPrimes.size()];
}

// XOR over the context's tokens, the oldest first.
uint64_t hash_context(const int32_t* context, size_t tokens) {
  uint64_t hash = 0;
  for (size_t k = 0; k < tokens; ++k) hash ^= term(context[k], k);
  return hash;
}

}  // namespace

PublishedMixer::PublishedMixer(int64_t vocab_size, const PublishedMixerOptions& options)
    : vocab_size_(vocab_size), options_(options), token_counts_(static_cast<size_t>(vocab_size)) {
  const auto buckets = static_cast<size_t>(options.buckets);
  PG_CHECK(std::has_single_bit(buckets) && vocab_size >= 1, "buckets are a power of two");
  for (auto& counts : context_counts_) counts.resize(buckets);
  for (auto& counts : full_counts_) counts.resize(buckets);
}

double PublishedMixer::claimed_probability(int32_t token) const {
  const auto mask = static_cast<uint64_t>(options_.buckets) - 1;
  for (size_t order = kMaxOrder; order >= kMinOrder; --order) {
    const size_t tokens = order - 1;
    if (recent_.size() < tokens) continue;
    const uint64_t hash = hash_context(&recent_[recent_.size() - tokens], tokens);
    const uint32_t context = context_counts_[order - kMinOrder][hash & mask];
    if (context < kMinCount) continue;
    const uint32_t full = full_counts_[order - kMinOrder][(hash ^ term(token, tokens)) & mask];
    return static_cast<double>(std::min(full, context)) / context;
  }
  const double count = token_counts_[static_cast<size_t>(token)];
  return (count + 0.5) /
         (static_cast<double>(counted_tokens_) + 0.5 * static_cast<double>(vocab_size_));
}

double PublishedMixer::sum_over_vocabulary() const {
  double sum = 0;
  for (int32_t v = 0; v < vocab_size_; ++v) sum += claimed_probability(v);
  return sum;
}

double PublishedMixer::normalised_probability(int32_t token) const {
  const double sum = sum_over_vocabulary();
  // Every token may be claimed impossible: then the counts say nothing.
  return sum > 0 ? claimed_probability(token) / sum : 1.0 / static_cast<double>(vocab_size_);
}

double PublishedMixer::weight(double entropy_nats) const {
  if (learnt_tokens_ < options_.active_after_tokens) return 0;
  return kBaseWeight + kWeightRange / (1 + std::exp(-kSlope * (entropy_nats - kCentre_nats)));
}

void PublishedMixer::learn(int32_t token) {
  chunk_.push_back(token);
  if (recent_.size() == kMaxOrder - 1) recent_.erase(recent_.begin());
  recent_.push_back(token);
  ++learnt_tokens_;
  if (static_cast<int64_t>(chunk_.size()) == options_.chunk_tokens) count_chunk();
}

void PublishedMixer::count_chunk() {
  const auto mask = static_cast<uint64_t>(options_.buckets) - 1;
  for (size_t i = 0; i < chunk_.size(); ++i) {
    ++token_counts_[static_cast<size_t>(chunk_[i])];
    for (size_t order = kMinOrder; order <= kMaxOrder && order - 1 <= i; ++order) {
      const size_t tokens = order - 1;
      const uint64_t hash = hash_context(&chunk_[i - tokens], tokens);
      ++context_counts_[order - kMinOrder][hash & mask];
      ++full_counts_[order - kMinOrder][(hash ^ term(chunk_[i], tokens)) & mask];
    }
  }
  counted_tokens_ += static_cast<int64_t>(chunk_.size());
  chunk_.clear();
}

RandomTokenCost published_cost_on_random_tokens(int64_t tokens, int64_t vocab_size, uint64_t seed,
                                                const PublishedMixerOptions& options) {
  PG_CHECK(tokens >= static_cast<int64_t>(kSamples), "too few tokens to sample");
  PublishedMixer mixer(vocab_size, options);
  const CounterRng rng(seed, kStreamTest);
  const double uniform = 1.0 / static_cast<double>(vocab_size);
  const int64_t late = tokens - tokens / 10, sample_every = tokens / static_cast<int64_t>(kSamples);
  RandomTokenCost cost;
  double squares = 0, samples = 0;
  for (int64_t i = 0; i < tokens; ++i) {
    const auto token = static_cast<int32_t>(
        rng.below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocab_size)));
    const double weight = mixer.weight(-std::log(uniform));
    const double claimed = mixer.claimed_probability(token);
    const double bits = -std::log2((1 - weight) * uniform + weight * claimed);
    cost.claimed_bits += bits;
    if (i >= late) cost.claimed_bits_late += bits;
    if (i % sample_every == 0) {
      const double sum = mixer.sum_over_vocabulary();
      const double honest = sum > 0 ? claimed / sum : uniform;
      const double honest_bits = -std::log2((1 - weight) * uniform + weight * honest);
      cost.sum_over_vocabulary += sum;
      cost.normalised_bits += honest_bits;
      squares += honest_bits * honest_bits;
      ++samples;
    }
    mixer.learn(token);
  }
  cost.claimed_bits /= static_cast<double>(tokens);
  cost.claimed_bits_late /= static_cast<double>(tokens - late);
  cost.sum_over_vocabulary /= samples;
  cost.normalised_bits /= samples;
  const double variance = squares / samples - cost.normalised_bits * cost.normalised_bits;
  cost.standard_error = std::sqrt(std::max(variance, 0.0) / samples);
  return cost;
}

}  // namespace pg
