// Frauds whose numbers are no probability distribution.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/base/rng.h"
#include "tests/eval/zoo/exhibits.h"

namespace pg {
namespace {

// Gives every token of the zoo vocabulary its own number.
void set_all(TokenDistribution& distribution, const std::vector<float>& log_probs) {
  static_assert(kZooVocab == MixedDistribution::kMaxCandidates);
  distribution.mixed.count = kZooVocab;
  for (size_t a = 0; a < kZooVocab; ++a) {
    distribution.mixed.tokens[a] = static_cast<int32_t>(a);
    distribution.mixed.log_probs[a] = log_probs[a];
  }
}

// #1033: two tables of bucket loads, min(full, context) / context for whatever token is asked for.
class BucketRatio final : public CountScorer {
 public:
  explicit BucketRatio(int64_t buckets, double weight = 0.5)
      : buckets_(static_cast<uint64_t>(buckets)),
        weight_(weight),
        context_(static_cast<size_t>(buckets)),
        full_(static_cast<size_t>(buckets)) {}

  void perceive(int64_t target, int32_t token) override {
    const uint64_t key = context_key(target);
    context_[key % buckets_] += 1;
    full_[full_key(key, token) % buckets_] += 1;
    CountScorer::perceive(target, token);
  }

  uint64_t state_hash() const override { return mix64(hash_counts() ^ context_.size()); }

 private:
  uint64_t context_key(int64_t target) const {
    const auto older = target > 1 ? static_cast<uint64_t>(token_at(target - 2)) : 0;
    return static_cast<uint64_t>(token_at(target - 1)) * 36313u ^ older * 27191u;
  }
  static uint64_t full_key(uint64_t key, int32_t token) {
    return key ^ static_cast<uint64_t>(token) * 51647u;
  }
  void mix(int64_t target, TokenDistribution& distribution) override {
    const uint64_t key = context_key(target);
    const double context = context_[key % buckets_];
    if (context < 2) return;
    std::vector<float> log_probs(kZooVocab);
    for (int32_t a = 0; a < kZooVocab; ++a) {
      const double full = full_[full_key(key, a) % buckets_];
      const double p = std::exp(static_cast<double>(distribution.network.log_prob(a)));
      log_probs[static_cast<size_t>(a)] = static_cast<float>(
          std::log((1 - weight_) * p + weight_ * std::min(full, context) / context));
    }
    set_all(distribution, log_probs);
  }

  uint64_t buckets_;
  double weight_;
  std::vector<double> context_, full_;
};

// Each token gets the better of two models' opinions.
class MaxOfModels final : public CountScorer {
  void mix(int64_t, TokenDistribution& distribution) override {
    std::vector<float> log_probs(kZooVocab);
    for (int32_t a = 0; a < kZooVocab; ++a) {
      log_probs[static_cast<size_t>(a)] =
          std::max(distribution.network.log_prob(a), -std::log(static_cast<float>(kZooVocab)));
    }
    set_all(distribution, log_probs);
  }
};

// A bonus for the hint, and no normaliser for it.
class TiltWithoutNormaliser final : public CountScorer {
  void mix(int64_t target, TokenDistribution& distribution) override {
    const int32_t hint = token_at(target - 1) % 7 + 4;
    distribution.mixed.count = 1;
    distribution.mixed.tokens[0] = hint;
    distribution.mixed.log_probs[0] = std::min(0.0f, distribution.network.log_prob(hint) + 2.0f);
  }
};

// Every probability a tenth too high.
class AboveOne final : public CountScorer {
  void mix(int64_t, TokenDistribution& distribution) override {
    distribution.mixed.log_rest = 0.1f;
  }
};

// Mass of a bare 0.1 % too much: far below what a look at the losses would show.
class SlightlyAboveOne final : public CountScorer {
  void mix(int64_t, TokenDistribution& distribution) override {
    distribution.mixed.log_rest = 0.001f;
  }
};

// Numbers that the text never asks for are not numbers.
class NanOnRareToken final : public CountScorer {
  void mix(int64_t, TokenDistribution& distribution) override {
    distribution.mixed.count = 1;
    distribution.mixed.tokens[0] = 0;  // the padding id
    distribution.mixed.log_probs[0] = std::numeric_limits<float>::quiet_NaN();
  }
};

// The sum in the denominator runs over the tokens that have occurred.
class SeenTokensOnly final : public CountScorer {
  void perceive(int64_t target, int32_t token) override {
    seen_[static_cast<size_t>(token)] = true;
    CountScorer::perceive(target, token);
  }
  void mix(int64_t, TokenDistribution& distribution) override {
    double sum = 0;
    for (int32_t a = 0; a < kZooVocab; ++a) {
      if (seen_[static_cast<size_t>(a)]) {
        sum += std::exp(static_cast<double>(distribution.network.log_prob(a)));
      }
    }
    if (sum > 0) distribution.mixed.log_rest = -static_cast<float>(std::log(sum));
  }
  std::vector<bool> seen_ = std::vector<bool>(kZooVocab);
};

// #1872: a token of n bytes gets p^(1/n) for each byte, and byte experts are mixed in with that.
class ByteSpread final : public CountScorer {
  void mix(int64_t, TokenDistribution& distribution) override {
    const ByteTable table = make_zoo_bytes();
    std::vector<float> log_probs(kZooVocab);
    for (int32_t a = 0; a < kZooVocab; ++a) {
      const double n = std::max<double>(1, table.bytes[static_cast<size_t>(a)]);
      const double p = static_cast<double>(distribution.network.log_prob(a));
      const double spread = std::exp(p / n);
      const double mixed = 0.8 * spread + 0.2 / 256;
      log_probs[static_cast<size_t>(a)] = static_cast<float>(n * std::log(mixed));
    }
    set_all(distribution, log_probs);
  }
};

// Divides by last target's sum instead of this one's.
class StaleNormaliser final : public CountScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    previous_ = current_;
    double sum = 0;
    for (const float logit : logits_) sum += std::exp(static_cast<double>(logit));
    current_ = static_cast<float>(std::log(sum));
  }
  void mix(int64_t, TokenDistribution& distribution) override {
    distribution.network.log_normaliser = previous_;
  }
  float previous_ = 0, current_ = 0;
};

// Candidates are added on top; the rest keeps its whole mass.
class RestNotReduced final : public CountScorer {
  void mix(int64_t target, TokenDistribution& distribution) override {
    distribution.mixed.count = 1;
    distribution.mixed.tokens[0] = token_at(target - 1);
    distribution.mixed.log_probs[0] = std::log(0.3f);
  }
};

}  // namespace

void append_distribution_frauds(std::vector<Exhibit>& zoo) {
  zoo.push_back(make_exhibit<BucketRatio>("bucket_ratio_unnormalised", "V3", int64_t{256}));
  zoo.push_back(make_exhibit<BucketRatio>("bucket_ratio_on_random_tokens", "V5", int64_t{32}));
  Exhibit resized = make_exhibit<BucketRatio>("gain_of_collisions", "V6", int64_t{16});
  resized.subject.make_resized = [](int64_t factor) {
    return std::make_unique<BucketRatio>(16 * factor);
  };
  zoo.push_back(std::move(resized));
  zoo.push_back(make_exhibit<MaxOfModels>("max_of_two_models", "V3"));
  zoo.push_back(make_exhibit<TiltWithoutNormaliser>("tilt_without_normaliser", "V3"));
  zoo.push_back(make_exhibit<AboveOne>("probability_above_one", "V3"));
  zoo.push_back(make_exhibit<SlightlyAboveOne>("mass_0.1_percent_too_high", "V3"));
  zoo.push_back(make_exhibit<NanOnRareToken>("nan_on_rare_token", "V3"));
  zoo.push_back(make_exhibit<SeenTokensOnly>("normalised_over_seen_tokens", "V3"));
  zoo.push_back(make_exhibit<ByteSpread>("byte_spread_root", "V3"));
  zoo.push_back(make_exhibit<StaleNormaliser>("stale_normaliser", "V3"));
  zoo.push_back(make_exhibit<RestNotReduced>("rest_not_reduced", "V3"));
}

}  // namespace pg
