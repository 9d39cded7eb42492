// Against tests that the challenge's maintainers and entrants made of published records.
#include "harness/statistics/seed_statistics.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace pg {
namespace {

using Three = std::array<double, 3>;
// Bits per byte, and nats a token, of accepted records by their pull requests.
constexpr Three kBits2135 = {1.05662016, 1.05610947, 1.05679341};
constexpr Three kBits2014 = {1.05740567, 1.05730104, 1.05807084};
constexpr Three kBits1953 = {1.05824720, 1.05846113, 1.05895276};
constexpr Three kNats2135 = {2.31227656, 2.31115900, 2.31265572};
constexpr Three kNats1855 = {2.31944212, 2.32239991, 2.32423994};

struct Published {
  Three fresh, old;
  double margin, t, degrees_of_freedom, p;
};

TEST(SeedStatistics, WelchsTestGivesThePublishedFigures) {
  const Published cases[] = {{kBits2135, kBits2014, 0, 3.4262, 3.901, 0.01385},
                             {kBits2014, kBits1953, 0, 3.0135, 3.921, 0.0202},
                             {kNats2135, kNats1855, 0.005, 3.404, 2.409, 0.0293}};
  for (const Published& c : cases) {
    const WelchTest test = test_lower(spread_of(c.fresh), spread_of(c.old), c.margin);
    // Half a unit of the last digit that is given.
    EXPECT_NEAR(test.t, c.t, 5e-4);
    EXPECT_NEAR(test.degrees_of_freedom, c.degrees_of_freedom, 5e-4);
    EXPECT_NEAR(test.p, c.p, 5e-5);
  }
  EXPECT_NEAR(test_lower(spread_of(kNats2135), spread_of(kNats1855), 0).p, 0.0063, 5e-5);
}

TEST(SeedStatistics, StudentsDistributionIsRight) {
  // One and two degrees of freedom have closed forms: 1/2 - atan(t)/pi, and (1 - t/sqrt(2 + t^2))/2.
  const Spread old = {.count = 2, .mean = 3, .sample_std = 0, .least = 3, .most = 3};
  for (const double t : {-2.0, 0.0, 0.7, 12.0}) {
    const Spread fresh = {.count = 2, .mean = 3 - t, .sample_std = std::sqrt(2.0)};
    const WelchTest one = test_lower(fresh, old, 0);
    EXPECT_NEAR(one.degrees_of_freedom, 1, 1e-12);
    EXPECT_NEAR(one.p, 0.5 - std::atan(t) / 3.14159265358979, 1e-12);
    const Spread three = {.count = 3, .mean = 3 - t, .sample_std = std::sqrt(3.0)};
    EXPECT_NEAR(test_lower(three, old, 0).p, (1 - t / std::sqrt(2 + t * t)) / 2, 1e-12);
  }
}

TEST(SeedStatistics, BothConventionsOfTheDeviation) {
  EXPECT_NEAR(spread_of(kBits2135).sample_std, 0.00035573,
              2e-7);  // as the records give them, of more digits
  EXPECT_NEAR(spread_of(kBits2014).population_std, 0.00034091, 5e-9);
  EXPECT_NEAR(spread_of(kBits1953).population_std, 0.00029539, 5e-9);
  const Spread one = spread_of(std::array{1.5});
  EXPECT_EQ(one.sample_std, 0);
  EXPECT_EQ(one.mean, 1.5);
  const Spread two = spread_of(std::array{2.0, 1.0});
  EXPECT_EQ(two.least, 1);
  EXPECT_EQ(two.most, 2);
}

TEST(SeedStatistics, ValuesWithoutSpreadLeaveNoDoubt) {
  const Spread low = spread_of(std::array{1.0, 1.0}), high = spread_of(std::array{2.0, 2.0});
  EXPECT_EQ(test_lower(low, high, 0).p, 0);
  EXPECT_EQ(test_lower(high, low, 0).p, 1);
  EXPECT_EQ(test_lower(low, high, 1).p, 0.5);
}

TEST(SeedStatistics, MoreRunsAreAskedForWhereTheyHelp) {
  const Spread fresh = spread_of(std::array{1.00, 1.02, 1.04});
  const Spread old = spread_of(std::array{1.0500, 1.0501, 1.0499});
  const auto needed = runs_needed(fresh, old, 0, 0.01);
  ASSERT_TRUE(needed);
  EXPECT_GT(*needed, 3);
  Spread longer = fresh;
  longer.count = *needed;
  EXPECT_LT(test_lower(longer, old, 0).p, 0.01);
  --longer.count;
  EXPECT_GE(test_lower(longer, old, 0).p, 0.01);
  EXPECT_LE(*runs_needed(fresh, old, 0, 0.25), 3);
  // A gain below the margin is never shown; nor is one, however many runs there are, that three old ones
  // leave too much doubt of.
  EXPECT_FALSE(runs_needed(fresh, old, 0.04, 0.01));
  EXPECT_FALSE(runs_needed(spread_of(kBits2135), spread_of(kBits2014), 0, 0.01));
}

TEST(SeedStatistics, NatsAsBitsPerByteOfATokenizer) {
  // The README's 0.005 nats a token at 2.43593 and 3.72663 bytes a token.
  EXPECT_NEAR(bits_per_byte_of(0.005, 1 / 2.43593), 0.00296, 5e-6);
  EXPECT_NEAR(bits_per_byte_of(0.005, 1 / 3.72663), 0.00194, 5e-6);
}

}  // namespace
}  // namespace pg
