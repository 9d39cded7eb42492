// What pairs of runs say of an arm: deltas, where their error comes from, the smallest visible effect.
#include "harness/statistics/paired_deltas.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

namespace pg {
namespace {

TEST(PairedDelta, OfPairsIsThePairedTest) {
  // Differences -1, -2, -3, -2: mean -2, s = sqrt(2/3), SE = s/2; t(0.975; 3) = 3.182446305.
  const std::array base = {10.0, 20.0, 30.0, 40.0}, arm = {9.0, 18.0, 27.0, 38.0};
  const PairedDelta paired = compare_paired(arm, base, base);
  EXPECT_EQ(paired.deltas, (std::vector{-1.0, -2.0, -3.0, -2.0}));
  EXPECT_EQ(paired.mean, -2);
  EXPECT_EQ(paired.source, ErrorSource::kPairs);
  EXPECT_NEAR(paired.error, std::sqrt(2.0 / 3) / 2, 1e-15);
  EXPECT_EQ(paired.degrees_of_freedom, 3);
  EXPECT_NEAR(paired.smallest_visible, 3.182446305 * std::sqrt(2.0 / 3) / 2, 1e-8);
  EXPECT_TRUE(paired.is_visible());
}

TEST(PairedDelta, OfOnePairIsBoundByTheBasesSpread) {
  const std::array seeds = {1.25, 1.5, 1.0};  // s = 0.25, two degrees of freedom: t = 4.302652730
  const double bound = 4.302652730 * std::numbers::sqrt2 * 0.25;
  const auto of = [&](double delta) {
    return compare_paired(std::array{1.25 + delta}, std::array{1.25}, seeds);
  };
  EXPECT_EQ(of(-1).source, ErrorSource::kBaseSpread);
  EXPECT_NEAR(of(-1).error, std::numbers::sqrt2 * 0.25, 1e-15);
  EXPECT_NEAR(of(-1).smallest_visible, bound, 1e-8);
  EXPECT_FALSE(of(-bound + 1e-6).is_visible());
  EXPECT_TRUE(of(-bound - 1e-6).is_visible());
  EXPECT_TRUE(of(bound + 1e-6).is_visible());
}

TEST(PairedDelta, WithoutASpreadNothingIsSaidOfChance) {
  const PairedDelta paired = compare_paired(std::array{1.0}, std::array{9.0}, std::array{9.0});
  EXPECT_FALSE(paired.has_error());
  EXPECT_FALSE(paired.is_visible());
  EXPECT_EQ(paired.mean, -8);
}

TEST(PairedDelta, TheSameBitsAreNoEffect) {
  const std::array seeds = {1.25, 1.5};
  EXPECT_TRUE(compare_paired(seeds, seeds, seeds).is_same_bits());
  EXPECT_FALSE(compare_paired(seeds, seeds, seeds).is_visible());
  const std::array other = {1.25, std::nextafter(1.5, 2.0)};
  EXPECT_FALSE(compare_paired(other, seeds, seeds).is_same_bits());
}

}  // namespace
}  // namespace pg
