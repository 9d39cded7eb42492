// What the scores of several seeds say: their spread, and whether one set of runs is better than another.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace pg {

struct Spread {
  int64_t count = 0;
  double mean = 0;
  double sample_std = 0;      // divides by n - 1; 0 of one value
  double population_std = 0;  // divides by n: what many published records give
  double least = 0, most = 0;
};
Spread spread_of(std::span<const double> values);  // of at least one

// Welch's t-test, one-sided: whether `fresh` is lower than `old` by more than `margin`. With sample
// variances, SE = sqrt(s1^2/n1 + s0^2/n0), t = (m0 - m1 - margin)/SE, and p = P(T > t) of Student's T with
// Welch and Satterthwaite's degrees of freedom (Welch, Biometrika 34, 1947). Values that do not differ at all leave
// no doubt: p is 0, 1, or 1/2 where the means are a margin apart exactly.
struct WelchTest {
  double t = 0, degrees_of_freedom = 0, p = 1;
};
// Of two values each at least.
WelchTest test_lower(const Spread& fresh, const Spread& old, double margin);

// Of two sets with these means and spreads: how many runs the fresh one would need in all for a p below
// `alpha`, if its further ones are like those so far and the old one gets none. At least two; nothing
// where no number of them is enough, up to `limit`.
std::optional<int64_t> runs_needed(const Spread& fresh, const Spread& old, double margin,
                                   double alpha, int64_t limit = 1000);

// A difference of loss in nats a token, as bits per byte of text with so many tokens a byte.
double bits_per_byte_of(double nats, double tokens_per_byte);

}  // namespace pg
