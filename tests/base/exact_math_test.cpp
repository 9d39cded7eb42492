// log, pow, sin and cos: how near they are to the truth, and that they are the same everywhere.
#include "src/base/exact_math.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/base/simd_math.h"

namespace pg {
namespace {

constexpr int kDraws = 50000;
constexpr double kUnit = 0x1.0p-53;

// In [least, most]: evenly, and evenly in the exponent.
std::vector<double> draw(double least, double most) {
  const CounterRng rng(11, kStreamTest);
  std::vector<double> x;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const double u = rng.uniform(i);
    const double low = std::log2(least), high = std::log2(most);
    x.push_back(i % 2 == 0 ? std::exp2(low + u * (high - low)) : least + u * (most - least));
  }
  return x;
}

TEST(ExactMath, LogIsWithinAUnitInTheLastPlace) {
  const auto check = [](double x) {
    const long double want = std::log(static_cast<long double>(x));
    ASSERT_LE(std::fabs(static_cast<long double>(log_f64(x)) - want), 2 * kUnit * std::fabs(want))
        << x;
  };
  for (const double x : draw(1e-300, 1e300)) check(x);
  for (const double x : draw(0.5, 2.0)) check(x);
  for (const double x : {5e-324, 1e-310, 2.2250738585072014e-308, 1.7976931348623157e308}) check(x);
  EXPECT_EQ(log_f64(1.0), 0.0);
  EXPECT_EQ(log_f64(0.0), -INFINITY);
  EXPECT_EQ(log_f64(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(log_f64(-1.0)));
  EXPECT_TRUE(std::isnan(log_f64(std::numeric_limits<double>::quiet_NaN())));
}

TEST(ExactMath, PowIsWithinItsBound) {
  for (const double y : {-1.0, -0.03125, 0.5, 1.0, 64.0 / 62.0, 13.0}) {
    for (const double x : draw(1e-6, 1e6)) {
      const long double want = std::pow(static_cast<long double>(x), static_cast<long double>(y));
      const double bound = (3 + 3 * std::fabs(y * std::log(x))) * kUnit;
      ASSERT_LE(std::fabs(static_cast<long double>(pow_f64(x, y)) - want), bound * want)
          << x << " ^ " << y;
    }
  }
  EXPECT_EQ(pow_f64(10000.0, 0.0), 1.0);
}

TEST(ExactMath, LogToBaseTwoIsWithinItsBoundAndExactAtPowersOfTwo) {
  for (const double x : draw(1e-300, 1e300)) {
    const long double want = std::log2(static_cast<long double>(x));
    ASSERT_LE(std::fabs(static_cast<long double>(log2_f64(x)) - want),
              4 * kUnit * std::fmax(1.0L, std::fabs(want)))
        << x;
  }
  for (int n = -1022; n <= 1023; ++n) ASSERT_EQ(log2_f64(std::ldexp(1.0, n)), n);
}

TEST(ExactMath, PowerOfTwoIsWithinItsBoundAndExactAtIntegers) {
  for (double x : draw(1e-3, 1000)) {
    for (int sign = 0; sign < 2; ++sign, x = -x) {
      const long double want = std::exp2(static_cast<long double>(x));
      ASSERT_LE(std::fabs(static_cast<long double>(exp2_f64(x)) - want), 4 * kUnit * want) << x;
    }
  }
  for (int n = -1000; n <= 1000; ++n) ASSERT_EQ(exp2_f64(n), std::ldexp(1.0, n));
}

TEST(ExactMath, SineAndCosineAreWithinTheirBound) {
  for (const double most : {1.0, 10.0, 1e4, 0x1.0p27}) {
    for (double x : draw(1e-3, most)) {
      for (int sign = 0; sign < 2; ++sign, x = -x) {
        const auto [sine, cosine] = sin_cos_f64(x);
        const auto wide = static_cast<long double>(x);
        ASSERT_LE(std::fabs(static_cast<long double>(sine) - std::sin(wide)), 3e-16L) << x;
        ASSERT_LE(std::fabs(static_cast<long double>(cosine) - std::cos(wide)), 3e-16L) << x;
      }
    }
  }
  EXPECT_EQ(sin_cos_f64(0.0).sin, 0.0);
  EXPECT_EQ(sin_cos_f64(0.0).cos, 1.0);
}

// The one number that every processor must find. Arguments come from integers and exact steps.
TEST(ExactMath, HashIsTheSameEverywhere) {
  const CounterRng rng(12, kStreamTest);
  std::vector<double> values;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const double u = rng.uniform(i), wide = std::fma(200.0, u, -100.0);
    const auto x = static_cast<float>(wide);
    const auto [sine, cosine] = sin_cos_f64(1000.0 * wide);
    for (const double value :
         {log_f64(u), log_f64(1e6 * u), exp_f64(wide), pow_f64(1.0 + u, wide), sine, cosine,
          rng.normal(i), log2_f64(1e-3 + u), exp2_f64(wide), static_cast<double>(exp_simd(x)),
          static_cast<double>(tanh_simd(x))}) {
      values.push_back(value);
    }
  }
  const auto* const bytes = reinterpret_cast<const uint8_t*>(values.data());
  EXPECT_EQ(hex(sha256({bytes, values.size() * sizeof(double)})),
            "3fa10798ca55916ebaf4eb1388e028f8b0e34181bb252c06bc440cd9a5984033");
}

}  // namespace
}  // namespace pg
