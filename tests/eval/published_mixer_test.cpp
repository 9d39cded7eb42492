// The published n-gram cache is no probability: random tokens show it.
#include "eval/diagnosis/published_mixer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/rng.h"

namespace pg {
namespace {

// The published tables at 1/256 of their size, and of everything else that scales with it.
constexpr PublishedMixerOptions kSmall = {
    .buckets = 16384, .chunk_tokens = 128, .active_after_tokens = 39};
constexpr int64_t kVocab = 1024;

TEST(PublishedMixer, ClaimsToCompressRandomTokens) {
  // 15 tokens per bucket, as 62M tokens over the published 4,194,304. Any code must spend 10 bits;
  // the full-size run gives 1.6, .64 at the end, and sums of 640 to 780.
  const RandomTokenCost cost =
      published_cost_on_random_tokens(15 * kSmall.buckets, kVocab, 1, kSmall);
  EXPECT_NEAR(cost.claimed_bits, 1.6, 0.15);
  EXPECT_NEAR(cost.claimed_bits_late, 0.64, 0.1);
  EXPECT_GT(cost.sum_over_vocabulary, 600);
  EXPECT_LT(cost.sum_over_vocabulary, 900);
  EXPECT_GE(cost.normalised_bits, 10 - 3 * cost.standard_error) << "normalised, nothing is left";
}

TEST(PublishedMixer, ClaimsLessWithFewerCollisions) {
  const RandomTokenCost cost =
      published_cost_on_random_tokens(kSmall.buckets * 15 / 16, kVocab, 1, kSmall);
  EXPECT_NEAR(cost.claimed_bits, 8.46, 0.6);
  EXPECT_LT(cost.sum_over_vocabulary, 300);
}

TEST(PublishedMixer, NormalisedCountsAreAProbability) {
  PublishedMixer mixer(50, {.buckets = 64, .chunk_tokens = 100, .active_after_tokens = 0});
  const CounterRng rng(2, kStreamTest);
  for (uint64_t i = 0; i < 1000; ++i) {
    if (i % 50 == 0) {
      double sum = 0;
      for (int32_t v = 0; v < 50; ++v) sum += mixer.normalised_probability(v);
      EXPECT_NEAR(sum, 1, 1e-12);
    }
    mixer.learn(static_cast<int32_t>(rng.below(i, 50)));
  }
  EXPECT_GT(mixer.sum_over_vocabulary(), 5);
}

TEST(PublishedMixer, CountsAWholeChunkAtATimeAndNoneAcross) {
  PublishedMixer mixer(1024, {.buckets = 4096, .chunk_tokens = 4, .active_after_tokens = 6});
  const auto learn = [&](std::initializer_list<int32_t> tokens) {
    for (const int32_t token : tokens) mixer.learn(token);
  };
  learn({1, 2, 1});
  EXPECT_EQ(mixer.claimed_probability(2), 0.5 / 512) << "an open chunk was counted";
  EXPECT_EQ(mixer.weight(3.0), 0.0);
  learn({2, 1, 2, 1});
  EXPECT_NEAR(mixer.weight(3.0), 0.20 + 0.55 / 2, 1e-12);
  EXPECT_EQ(mixer.claimed_probability(2), 1.0) << "1 was followed by 2 twice";
  EXPECT_EQ(mixer.claimed_probability(3), 0.0);
}

TEST(PublishedMixer, CountsNothingAcrossChunks) {
  PublishedMixer mixer(1024, {.buckets = 4096, .chunk_tokens = 4, .active_after_tokens = 0});
  for (int32_t i = 0; i < 16; ++i) mixer.learn(i % 4);
  // 3 ends every chunk: as a context it was never counted, so 0 has its unigram probability.
  EXPECT_EQ(mixer.claimed_probability(0), 4.5 / (16 + 512));
}

}  // namespace
}  // namespace pg
