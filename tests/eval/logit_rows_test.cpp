// Distributions from logits against their definition in f64, for any width and any spread.
#include "eval/score/logit_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "src/base/rng.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr float kCap = 30.0f;

std::vector<float> make_logits(int64_t count, double spread) {
  const CounterRng rng(3, kStreamTest);
  std::vector<float> logits;
  for (int64_t i = 0; i < count; ++i) {
    logits.push_back(static_cast<float>(spread * rng.normal(static_cast<uint64_t>(i))));
  }
  return logits;
}

TEST(LogitRows, AreTheSoftcappedDistributionsOfF64) {
  for (const int64_t vocab : {1, 5, 16, 61, 1024}) {
    for (const double spread : {0.0, 1.0, 20.0, 500.0}) {
      constexpr int64_t kRows = 40;
      const std::vector<float> raw = make_logits(kRows * vocab, spread);
      std::vector<float> log_probs = raw, entropies(kRows);
      normalise_logits(log_probs, vocab, kCap, entropies);
      for (int64_t row = 0; row < kRows; ++row) {
        std::vector<double> exact;
        double mass = 0, sum = 0, entropy = 0;
        for (int64_t i = 0; i < vocab; ++i) {
          const double z = static_cast<double>(raw[static_cast<size_t>(row * vocab + i)]);
          mass += std::exp(exact.emplace_back(30.0 * std::tanh(z / 30.0)));
        }
        for (int64_t i = 0; i < vocab; ++i) {
          const double expected = exact[static_cast<size_t>(i)] - std::log(mass);
          const float got = log_probs[static_cast<size_t>(row * vocab + i)];
          // The softcap is within 2e-6 twice, in the logit and in the normaliser, and rounds once
          // more at up to 64.
          ASSERT_NEAR(got, expected, 2 * 2e-6 + 4e-6) << "vocab " << vocab << " spread " << spread;
          sum += std::exp(static_cast<double>(got));
          entropy -= std::exp(expected) * expected;
        }
        // Rounding moves a likely token's probability by 2^-24 of its log, e^x by 2e-7.
        ASSERT_NEAR(sum, 1.0, 1e-6);
        ASSERT_NEAR(entropies[static_cast<size_t>(row)], entropy, 1e-5 * (1 + entropy));
      }
    }
  }
}

TEST(LogitRows, DoNotDependOnThreadsOrNeighbours) {
  constexpr int64_t kVocab = 1000, kRows = 70;
  const std::vector<float> raw = make_logits(kRows * kVocab, 5.0);
  std::vector<float> together = raw, entropies(kRows);
  const int threads = thread_count();
  set_thread_count(3);
  normalise_logits(together, kVocab, kCap, entropies);
  set_thread_count(1);
  for (size_t row = 0; row < static_cast<size_t>(kRows); ++row) {
    const auto from = raw.begin() + static_cast<std::ptrdiff_t>(row * kVocab);
    std::vector<float> alone(from, from + kVocab), entropy(1);
    normalise_logits(alone, kVocab, kCap, entropy);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + (from - raw.begin())));
    EXPECT_EQ(entropy[0], entropies[row]);
  }
  set_thread_count(threads);
}

TEST(LogitRows, ANanSpoilsItsWholeRowAlone) {
  for (const size_t at : {0ul, 17ul, 60ul}) {
    for (const float nan : {std::nanf(""), -std::nanf("")}) {
      std::vector<float> logits = make_logits(2 * 61, 1.0), entropies(2);
      logits[61 + at] = nan;
      normalise_logits(logits, 61, kCap, entropies);
      EXPECT_TRUE(std::isfinite(entropies[0]));
      EXPECT_TRUE(std::isnan(entropies[1]));
      for (size_t i = 0; i < 61; ++i) {
        EXPECT_TRUE(std::isfinite(logits[i]));
        EXPECT_TRUE(std::isnan(logits[61 + i]));
      }
    }
  }
}

}  // namespace
}  // namespace pg
