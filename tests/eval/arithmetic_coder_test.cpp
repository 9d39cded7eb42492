// What was encoded comes back, at the length that the probabilities say; any other bytes do no
// harm.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "eval/code/encode/arithmetic_encoder.h"
#include "src/base/error.h"
#include "src/base/rng.h"

namespace pg {
namespace {

// Log probabilities of a softmax of random logits; `spread` large: one token takes nearly all.
std::vector<float> make_log_probs(size_t vocab, double spread, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<double> logits(vocab);
  double mass = 0;
  for (size_t a = 0; a < vocab; ++a) mass += std::exp(logits[a] = spread * rng.normal(a));
  std::vector<float> log_probs(vocab);
  for (size_t a = 0; a < vocab; ++a) {
    log_probs[a] = static_cast<float>(logits[a] - std::log(mass));
  }
  return log_probs;
}

TokenDistribution make_distribution(const std::vector<float>& log_probs) {
  TokenDistribution distribution;
  distribution.network.logits = log_probs;
  return distribution;
}

int32_t draw(const FrequencyTable& table, const CounterRng& rng, uint64_t index) {
  return table.find(static_cast<uint32_t>(rng.below(index, kFrequencyTotal)));
}

TEST(FrequencyTable, FollowsItsRule) {
  for (const double spread : {0.0, 1.0, 5.0, 30.0}) {
    const std::vector<float> log_probs = make_log_probs(300, spread, 1);
    FrequencyTable table;
    table.assign(make_distribution(log_probs));
    uint32_t sum = 0;
    int beyond_rule = 0;
    for (int32_t a = 0; a < 300; ++a) {
      const FrequencyShare share = table.share(a);
      EXPECT_EQ(share.begin, sum);
      EXPECT_GE(share.size, 1u);
      EXPECT_EQ(table.find(share.begin), a);
      EXPECT_EQ(table.find(share.begin + share.size - 1), a);
      sum += share.size;
      // exp_simd is within 2e-7, and a floor takes up to 1.
      const double exact = 1 + std::exp(static_cast<double>(log_probs[static_cast<size_t>(a)])) *
                                   (kFrequencyTotal - 300);
      if (share.size > exact + 4e-7 * exact || share.size < exact - 1 - 4e-7 * exact) ++beyond_rule;
    }
    EXPECT_EQ(sum, kFrequencyTotal);
    EXPECT_LE(beyond_rule, 1) << "only the likeliest takes the rest";
  }
}

TEST(FrequencyTable, TakesTheMixersProbabilities) {
  const std::vector<float> log_probs = make_log_probs(50, 1.0, 2);
  TokenDistribution distribution = make_distribution(log_probs);
  distribution.mixed.count = 1;
  distribution.mixed.tokens[0] = 9;
  distribution.mixed.log_probs[0] = std::log(0.5f);
  distribution.mixed.log_rest = std::log(0.5f / (1.0f - std::exp(log_probs[9])));
  FrequencyTable table;
  table.assign(distribution);
  EXPECT_NEAR(table.share(9).size, 0.5 * kFrequencyTotal, 60);
  for (int32_t a = 0; a < 50; ++a) {
    if (a == 9) continue;
    EXPECT_NEAR(table.share(a).size, std::exp(distribution.log_prob(a)) * kFrequencyTotal, 60);
  }
}

TEST(FrequencyTable, RefusesWhatIsNoDistribution) {
  FrequencyTable table;
  std::vector<float> log_probs = make_log_probs(50, 1.0, 3);
  for (float& log_prob : log_probs) log_prob += 1e-3f;
  EXPECT_THROW(table.assign(make_distribution(log_probs)), Error);
  for (float& log_prob : log_probs) log_prob -= 2e-3f;
  EXPECT_THROW(table.assign(make_distribution(log_probs)), Error);
  log_probs[7] = NAN;
  EXPECT_THROW(table.assign(make_distribution(log_probs)), Error);
  log_probs[7] = 1.0f;
  EXPECT_THROW(table.assign(make_distribution(log_probs)), Error);
}

TEST(ArithmeticCoder, GivesBackTokensAtTheLengthOfTheirProbabilities) {
  for (const double spread : {0.0, 1.0, 4.0, 30.0}) {
    const CounterRng rng(5, kStreamTest);
    std::vector<FrequencyTable> tables(20);
    std::vector<std::vector<float>> log_probs;
    for (size_t i = 0; i < tables.size(); ++i) {
      log_probs.push_back(make_log_probs(1000, spread, i));
      tables[i].assign(make_distribution(log_probs[i]));
    }
    ArithmeticEncoder encoder;
    std::vector<int32_t> tokens;
    double bits = 0;
    constexpr uint64_t kTokens = 30000;
    for (uint64_t i = 0; i < kTokens; ++i) {
      const size_t which = i % tables.size();
      tokens.push_back(draw(tables[which], rng, i));
      encoder.encode(tables[which].share(tokens.back()));
      bits -=
          static_cast<double>(log_probs[which][static_cast<size_t>(tokens.back())]) / std::log(2.0);
    }
    const Bytes bytes = encoder.finish();
    // Quantising costs V 2^-24 / ln 2 bits a token, ending up to 8 + 8.
    EXPECT_LE(8.0 * static_cast<double>(bytes.size()), bits + 16 + kTokens * 1000 * 8.6e-8);
    if (spread <= 4) {
      EXPECT_LE(8.0 * static_cast<double>(bytes.size()), 1.0005 * bits + 16);
    }
    ArithmeticDecoder decoder(bytes);
    for (uint64_t i = 0; i < kTokens; ++i) {
      const FrequencyTable& table = tables[i % tables.size()];
      const int32_t token = table.find(decoder.peek());
      ASSERT_EQ(token, tokens[i]) << "spread " << spread << ", token " << i;
      decoder.take(table.share(token));
      ASSERT_FALSE(decoder.is_past_end());
    }
    EXPECT_TRUE(decoder.is_at_end());
  }
}

// Shares at the ends of the total make the longest runs of bytes that a carry may change.
TEST(ArithmeticCoder, CarriesRunThroughAnyNumberOfBytes) {
  const CounterRng rng(6, kStreamTest);
  for (uint64_t round = 0; round < 300; ++round) {
    std::vector<FrequencyShare> shares;
    for (uint64_t i = 0; i < 60; ++i) {
      const uint64_t kind = rng.below(round * 1000 + i, 10);
      // Mostly the last value of the total, which keeps low_ just under a power of two.
      shares.push_back(kind < 7    ? FrequencyShare{kFrequencyTotal - 1, 1}
                       : kind == 7 ? FrequencyShare{0, 1}
                       : kind == 8 ? FrequencyShare{kFrequencyTotal / 2, kFrequencyTotal / 2}
                                   : FrequencyShare{12345, 777});
    }
    ArithmeticEncoder encoder;
    for (const FrequencyShare& share : shares) encoder.encode(share);
    const Bytes bytes = encoder.finish();
    ArithmeticDecoder decoder(bytes);
    for (const FrequencyShare& share : shares) {
      const uint32_t value = decoder.peek();
      ASSERT_GE(value, share.begin);
      ASSERT_LT(value - share.begin, share.size);
      decoder.take(share);
    }
    ASSERT_TRUE(decoder.is_at_end());
  }
}

TEST(ArithmeticCoder, NothingCostsAByte) {
  ArithmeticEncoder encoder;
  const Bytes bytes = encoder.finish();
  EXPECT_EQ(bytes.size(), 1u);
  EXPECT_TRUE(ArithmeticDecoder(bytes).is_at_end());
}

TEST(ArithmeticCoder, AnyBytesGiveSomeTokens) {
  const CounterRng rng(7, kStreamTest);
  FrequencyTable table;
  table.assign(make_distribution(make_log_probs(100, 3.0, 1)));
  for (uint64_t round = 0; round < 200; ++round) {
    Bytes bytes;
    for (uint64_t i = 0; i < round % 40; ++i) {
      bytes.push_back(round % 5 == 0 ? uint8_t{0xff}
                                     : static_cast<uint8_t>(rng.below(round * 100 + i, 256)));
    }
    ArithmeticDecoder decoder(bytes);
    int tokens = 0;
    while (!decoder.is_past_end() && tokens < 100000) {
      decoder.take(table.share(table.find(decoder.peek())));
      ++tokens;
    }
    EXPECT_LT(tokens, 100000);
  }
}

}  // namespace
}  // namespace pg
