// Complementary training: the weights are those of counting by hand, of the text before a step.
#include "src/train/complement_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "src/base/error.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

constexpr int64_t kWindows = 3, kVocab = 61;
constexpr double kAlpha = 0.75;

class Complement : public TrainerTest {
 protected:
  // Windows of the steps before `step`, counted anew.
  std::vector<float> by_hand(int64_t step, const std::vector<int32_t>& x,
                             const std::vector<int32_t>& y) const {
    std::map<std::pair<int32_t, int32_t>, double> pairs;
    std::map<int32_t, double> totals;
    std::vector<int32_t> ids(32), next(32);
    for (int64_t window = 0; window < step * kWindows; ++window) {
      batches_->read(window, 1, ids, next);
      for (size_t i = 0; i < ids.size(); ++i) {
        ++pairs[{ids[i], next[i]}];
        ++totals[ids[i]];
      }
    }
    std::vector<float> weights;
    for (size_t i = 0; i < x.size(); ++i) {
      const double share = pairs[{x[i], y[i]}] / (totals[x[i]] + 1.0);
      weights.push_back(static_cast<float>(std::max(1.0 - kAlpha * share, 0.1)));
    }
    return weights;
  }
};

TEST_F(Complement, WeightsAreThoseOfTheTextBefore) {
  ComplementWeights complement(*batches_, kVocab, kAlpha, kWindows);
  std::vector<int32_t> x(32), y(32);
  std::vector<float> weights(32);
  for (const int64_t step : {0, 1, 2, 7}) {
    complement.advance_to(step);
    batches_->read(step * kWindows, 1, x, y);
    complement.weigh(x, y, weights);
    EXPECT_EQ(weights, by_hand(step, x, y)) << step;
    EXPECT_EQ(weights == std::vector<float>(32, 1.0f), step == 0);
  }
  EXPECT_LT(*std::ranges::max_element(weights), 1.0f);  // each bigram has been seen
  y.assign(y.size(), 60);                               // not what follows
  complement.weigh(x, y, weights);
  EXPECT_EQ(weights, by_hand(7, x, y));
}

// A run that goes on counts the same text at once.
TEST_F(Complement, CountsDoNotDependOnTheSteps) {
  ComplementWeights one(*batches_, kVocab, kAlpha, kWindows),
      all(*batches_, kVocab, kAlpha, kWindows);
  for (int64_t step = 0; step <= 5; ++step) one.advance_to(step);
  all.advance_to(5);
  const std::vector<int32_t> x = make_ids(64, kVocab, 1), y = make_ids(64, kVocab, 2);
  std::vector<float> a(64), b(64);
  one.weigh(x, y, a);
  all.weigh(x, y, b);
  EXPECT_EQ(a, b);
}

TEST_F(Complement, NoWeightIsBelowATenth) {
  ComplementWeights complement(*batches_, kVocab, 1.0, kWindows);
  complement.advance_to(40);
  std::vector<int32_t> x(32), y(32);
  std::vector<float> weights(32);
  batches_->read(0, 1, x, y);
  complement.weigh(x, y, weights);
  EXPECT_EQ(*std::ranges::min_element(weights), 0.1f);
}

TEST_F(Complement, AVocabularyThatHasTooManyPairsIsRefused) {
  EXPECT_THROW(ComplementWeights(*batches_, 16385, kAlpha, kWindows), Error);
}

}  // namespace
}  // namespace pg
