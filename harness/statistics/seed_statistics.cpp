#include "harness/statistics/seed_statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numbers>
#include <numeric>

#include "src/base/check.h"

namespace pg {
namespace {

double squared_error_of_mean(const Spread& spread) {
  return spread.sample_std * spread.sample_std / static_cast<double>(spread.count);
}

}  // namespace

Spread spread_of(std::span<const double> values) {
  PG_CHECK(!values.empty(), "no value has no mean");
  Spread spread;
  const auto n = static_cast<double>(values.size());
  spread.count = static_cast<int64_t>(values.size());
  spread.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  spread.population_std = std::sqrt(squares / n);
  if (spread.count > 1) spread.sample_std = std::sqrt(squares / (n - 1));
  spread.least = *std::ranges::min_element(values);
  spread.most = *std::ranges::max_element(values);
  return spread;
}

WelchTest test_lower(const Spread& fresh, const Spread& old, double margin) {
  PG_CHECK(fresh.count > 1 && old.count > 1, "one run has no spread");
  const double a = squared_error_of_mean(fresh), b = squared_error_of_mean(old);
  const double gain = old.mean - fresh.mean - margin;
  WelchTest test;
  if (a + b == 0) {
    test.degrees_of_freedom = static_cast<double>(fresh.count + old.count - 2);
    test.t = gain == 0 ? 0 : std::copysign(std::numeric_limits<double>::infinity(), gain);
    test.p = gain == 0 ? 0.5 : gain > 0 ? 0.0 : 1.0;
    return test;
  }
  test.t = gain / std::sqrt(a + b);
  test.degrees_of_freedom =
      (a + b) * (a + b) /
      (a * a / static_cast<double>(fresh.count - 1) + b * b / static_cast<double>(old.count - 1));
  const boost::math::students_t distribution(test.degrees_of_freedom);
  test.p = boost::math::cdf(boost::math::complement(distribution, test.t));
  return test;
}

std::optional<int64_t> runs_needed(const Spread& fresh, const Spread& old, double margin,
                                   double alpha, int64_t limit) {
  Spread longer = fresh;
  for (longer.count = 2; longer.count <= limit; ++longer.count) {
    if (test_lower(longer, old, margin).p < alpha) return longer.count;
  }
  return {};
}

double bits_per_byte_of(double nats, double tokens_per_byte) {
  return nats / std::numbers::ln2 * tokens_per_byte;
}

}  // namespace pg
