// The laws of softcap_log_probs that its cases do not state: rows are probabilities, keep to
// themselves, and a NaN is not lost.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "src/base/rng.h"
#include "src/device/registry/make_device.h"

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

struct Distributions {
  std::vector<float> log_probs, entropies;
};

class LogProbs : public testing::TestWithParam<const char*> {
 protected:
  Distributions run(const std::vector<float>& logits, int64_t vocab) {
    const auto rows = static_cast<int64_t>(logits.size()) / vocab;
    Distributions d{std::vector<float>(logits.size()),
                    std::vector<float>(static_cast<size_t>(rows))};
    device_->ops().softcap_log_probs({d.log_probs.data(), DType::kF32},
                                     {d.entropies.data(), DType::kF32},
                                     {logits.data(), DType::kF32}, kCap, rows, vocab);
    device_->synchronize();
    return d;
  }

  const std::unique_ptr<Device> device_ = make_device(GetParam());
};

// Host devices: they read and write the test's own memory.
INSTANTIATE_TEST_SUITE_P(Devices, LogProbs,
                         testing::Values("reference", "cpu:exact", "cpu:bf16", "simt"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name;
                         });

TEST_P(LogProbs, ProbabilitiesOfARowAddUpToOne) {
  for (const int64_t vocab : {1, 5, 16, 61, 1024}) {
    for (const double spread : {0.0, 1.0, 20.0, 500.0}) {
      constexpr int64_t kRows = 40;
      const Distributions d = run(make_logits(kRows * vocab, spread), vocab);
      for (int64_t row = 0; row < kRows; ++row) {
        double sum = 0;
        for (int64_t i = 0; i < vocab; ++i) {
          sum += std::exp(static_cast<double>(d.log_probs[static_cast<size_t>(row * vocab + i)]));
        }
        // Rounding moves a likely token's probability by 2^-24 of its log, e^x by 2e-7.
        ASSERT_NEAR(sum, 1.0, 1e-6) << "vocab " << vocab << " spread " << spread;
      }
    }
  }
}

TEST_P(LogProbs, ARowDoesNotDependOnItsNeighbours) {
  constexpr int64_t kVocab = 1000, kRows = 70;
  const std::vector<float> logits = make_logits(kRows * kVocab, 5.0);
  const Distributions together = run(logits, kVocab);
  for (size_t row = 0; row < static_cast<size_t>(kRows); ++row) {
    const auto at = static_cast<std::ptrdiff_t>(row) * kVocab;
    const Distributions alone = run({logits.begin() + at, logits.begin() + at + kVocab}, kVocab);
    EXPECT_TRUE(std::equal(alone.log_probs.begin(), alone.log_probs.end(),
                           together.log_probs.begin() + at));
    EXPECT_EQ(alone.entropies[0], together.entropies[row]);
  }
}

TEST_P(LogProbs, ANanSpoilsItsWholeRowAlone) {
  for (const size_t at : {0ul, 17ul, 60ul}) {
    for (const float nan : {std::nanf(""), -std::nanf("")}) {
      std::vector<float> logits = make_logits(2 * 61, 1.0);
      logits[61 + at] = nan;
      const Distributions d = run(logits, 61);
      EXPECT_TRUE(std::isfinite(d.entropies[0]));
      EXPECT_TRUE(std::isnan(d.entropies[1]));
      for (size_t i = 0; i < 61; ++i) {
        EXPECT_TRUE(std::isfinite(d.log_probs[i]));
        EXPECT_TRUE(std::isnan(d.log_probs[61 + i]));
      }
    }
  }
}

}  // namespace
}  // namespace pg
