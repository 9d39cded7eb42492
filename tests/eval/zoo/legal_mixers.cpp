// Legal scorers with caches, tilts and matches: normalised over the whole vocabulary.
#include <algorithm>
#include <cmath>
#include <map>

#include "src/base/rng.h"
#include "tests/eval/zoo/exhibits.h"

namespace pg {
namespace {

// p' = (1 - weight) p + weight q for candidates q that sum to 1.
void mix_linear(TokenDistribution& distribution, const std::map<int32_t, double>& counts,
                double weight) {
  double total = 0;
  for (const auto& [token, count] : counts) total += count;
  if (total <= 0) return;
  MixedDistribution& mixed = distribution.mixed;
  mixed.log_rest = static_cast<float>(std::log1p(-weight));
  for (const auto& [token, count] : counts) {
    const double p = std::exp(static_cast<double>(distribution.network.log_prob(token)));
    const auto i = static_cast<size_t>(mixed.count++);
    mixed.tokens[i] = token;
    mixed.log_probs[i] = static_cast<float>(std::log((1 - weight) * p + weight * count / total));
  }
}

// p'(a) = p(a) e^(beta [a = hint]) / Z, Z = 1 + p(hint) (e^beta - 1): the accepted tilt of #1145.
void tilt(TokenDistribution& distribution, int32_t hint, double beta) {
  const double q = std::exp(static_cast<double>(distribution.network.log_prob(hint)));
  const double log_z = std::log1p(q * std::expm1(beta));
  distribution.mixed.count = 1;
  distribution.mixed.tokens[0] = hint;
  distribution.mixed.log_probs[0] = static_cast<float>(std::log(q) + beta - log_z);
  distribution.mixed.log_rest = static_cast<float>(-log_z);
}

// A cache keyed by the last `order` tokens themselves.
class ExactCache : public CountScorer {
 public:
  explicit ExactCache(size_t order, double weight = 0.3, int64_t chunk_targets = 24)
      : CountScorer(chunk_targets), order_(order), weight_(weight) {}

 protected:
  std::vector<int32_t> context(int64_t target) const {
    std::vector<int32_t> key;
    for (int64_t i = target - 1; i >= 0 && key.size() < order_; --i) key.push_back(token_at(i));
    return key;
  }
  void mix(int64_t target, TokenDistribution& distribution) override {
    const auto found = cache_.find(context(target));
    if (found != cache_.end()) mix_linear(distribution, found->second, weight_);
  }
  void perceive(int64_t target, int32_t token) override {
    cache_[context(target)][token] += 1;
    CountScorer::perceive(target, token);
  }
  uint64_t state_hash() const override { return mix64(hash_counts() ^ cache_.size()); }

  size_t order_;
  double weight_;
  std::map<std::vector<int32_t>, std::map<int32_t, double>> cache_;
};

// The accepted tilt towards the likeliest continuation of an exact context.
class Tilt final : public ExactCache {
 public:
  explicit Tilt(size_t order, double threshold) : ExactCache(order), threshold_(threshold) {}

 private:
  void mix(int64_t target, TokenDistribution& distribution) override {
    const auto found = cache_.find(context(target));
    if (found == cache_.end()) return;
    double total = 0, best = 0;
    int32_t hint = 0;
    for (const auto& [token, count] : found->second) {
      total += count;
      if (count > best) best = count, hint = token;
    }
    if (best >= threshold_ * total) tilt(distribution, hint, 2.0);
  }
  double threshold_;
};

// The cache's weight depends on how unsure the network is, which nobody needs the target for.
class EntropyGate final : public ExactCache {
 public:
  EntropyGate() : ExactCache(2) {}

 private:
  void mix(int64_t target, TokenDistribution& distribution) override {
    weight_ = 0.05 + 0.5 / (1 + std::exp(3.0 - double{distribution.network.entropy_nats}));
    ExactCache::mix(target, distribution);
  }
};

// Evicts at random-looking but fixed places.
class SmallCache final : public ExactCache {
 public:
  SmallCache() : ExactCache(2) {}

 private:
  void perceive(int64_t target, int32_t token) override {
    ExactCache::perceive(target, token);
    if (cache_.size() > 40) cache_.erase(cache_.begin());
  }
};

// A hash table with collisions, read out for every token and normalised: poor, but a distribution.
class HashCache final : public CountScorer {
 public:
  explicit HashCache(int64_t buckets)
      : buckets_(static_cast<uint64_t>(buckets)), table_(static_cast<size_t>(buckets)) {}

 private:
  uint64_t bucket(int64_t target, int32_t token) const {
    const auto older = target > 1 ? static_cast<uint64_t>(token_at(target - 2)) : 0;
    return mix64(mix64(static_cast<uint64_t>(token_at(target - 1)) * 4096 + older) ^
                 static_cast<uint64_t>(token)) %
           buckets_;
  }
  void mix(int64_t target, TokenDistribution& distribution) override {
    std::map<int32_t, double> counts;
    for (int32_t a = 0; a < kZooVocab; ++a) {
      const double count = table_[bucket(target, a)];
      if (count > 0) counts[a] = count;
    }
    mix_linear(distribution, counts, 0.2);
  }
  void perceive(int64_t target, int32_t token) override {
    table_[bucket(target, token)] += 1;
    CountScorer::perceive(target, token);
  }
  uint64_t buckets_;
  std::vector<double> table_;
};

// Points at the place where the last tokens stood before and tilts towards what came then.
class MatchModel final : public CountScorer {
  void mix(int64_t target, TokenDistribution& distribution) override {
    if (match_ <= 0 || length_ < 2) return;
    tilt(distribution, token_at(match_), 0.5 * static_cast<double>(std::min<int64_t>(length_, 6)));
    (void)target;
  }
  void perceive(int64_t target, int32_t token) override {
    const bool held = match_ > 0 && token_at(match_) == token;
    length_ = held ? length_ + 1 : 0;
    match_ = held ? match_ + 1 : 0;
    const auto key = std::pair(token_at(target - 1), token);
    if (match_ == 0) {
      const auto found = last_.find(key);
      if (found != last_.end()) match_ = found->second, length_ = 2;
    }
    last_[key] = target + 1;
    CountScorer::perceive(target, token);
  }
  uint64_t state_hash() const override {
    return mix64(mix64(hash_counts() ^ static_cast<uint64_t>(match_)) ^
                 static_cast<uint64_t>(length_));
  }
  std::map<std::pair<int32_t, int32_t>, int64_t> last_;
  int64_t match_ = 0, length_ = 0;
};

// Several tilts at once, the closed normaliser over all candidates.
class ManyCandidates final : public ExactCache {
 public:
  ManyCandidates() : ExactCache(1) {}

 private:
  void mix(int64_t target, TokenDistribution& distribution) override {
    const auto found = cache_.find(context(target));
    if (found == cache_.end()) return;
    double z = 1;
    MixedDistribution& mixed = distribution.mixed;
    for (const auto& [token, count] : found->second) {
      const double q = std::exp(static_cast<double>(distribution.network.log_prob(token)));
      z += q * std::expm1(0.4 * count);
    }
    mixed.log_rest = static_cast<float>(-std::log(z));
    for (const auto& [token, count] : found->second) {
      const auto i = static_cast<size_t>(mixed.count++);
      mixed.tokens[i] = token;
      mixed.log_probs[i] = static_cast<float>(double{distribution.network.log_prob(token)} +
                                              0.4 * count - std::log(z));
    }
  }
};

}  // namespace

void append_legal_mixers(std::vector<Exhibit>& zoo) {
  zoo.push_back(make_exhibit<ExactCache>("exact_cache_order_1", "", size_t{1}));
  zoo.push_back(make_exhibit<ExactCache>("exact_cache_order_3", "", size_t{3}));
  zoo.push_back(
      make_exhibit<ExactCache>("exact_cache_one_chunk", "", size_t{2}, 0.3, int64_t{1} << 40));
  zoo.push_back(make_exhibit<ExactCache>("exact_cache_heavy", "", size_t{2}, 0.95));
  zoo.push_back(make_exhibit<Tilt>("tilt_of_sure_hints", "", size_t{2}, 0.8));
  zoo.push_back(make_exhibit<Tilt>("tilt_always", "", size_t{1}, 0.0));
  zoo.push_back(make_exhibit<EntropyGate>("gate_on_entropy", ""));
  zoo.push_back(make_exhibit<SmallCache>("cache_with_eviction", ""));
  zoo.push_back(make_exhibit<MatchModel>("match_model", ""));
  zoo.push_back(make_exhibit<ManyCandidates>("many_candidates", ""));
  for (const int64_t buckets : {8, 64, 4096}) {
    const std::string name = "normalised_hash_cache_" + std::to_string(buckets);
    Exhibit exhibit = make_exhibit<HashCache>(name.c_str(), "", buckets);
    exhibit.subject.make_resized = [buckets](int64_t factor) {
      return std::make_unique<HashCache>(buckets * factor);
    };
    zoo.push_back(std::move(exhibit));
  }
}

}  // namespace pg
