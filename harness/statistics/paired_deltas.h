// What an arm of an ablation says against its base, run with the same seeds.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "harness/statistics/seed_statistics.h"

namespace pg {

// Where the error of a mean delta comes from. kPairs: s_d / sqrt(m), s_d the sample std of the m >= 2 paired
// deltas, m - 1 degrees of freedom (the paired t-test). kBaseSpread, of a single pair: sqrt(2) s_0, s_0 the
// sample std of the base's n >= 2 seeds, n - 1 degrees of freedom: the std of the difference of two independent
// runs, which common random numbers can only lower. kNone: neither is there, so nothing is said of chance.
enum class ErrorSource : uint8_t { kNone, kPairs, kBaseSpread };

struct PairedDelta {
  std::vector<double> deltas;  // arm - base, one a seed
  double mean = 0;
  double error = 0;  // standard error of the mean
  ErrorSource source = ErrorSource::kNone;
  double degrees_of_freedom = 0;
  // t(1 - level/2; degrees of freedom) * error: a mean delta up to it is not told from 0 by Student's test of two
  // sides at `level`.
  double smallest_visible = 0;

  bool has_error() const { return source != ErrorSource::kNone; }
  bool is_visible() const;    // the mean is beyond smallest_visible
  bool is_same_bits() const;  // every delta is 0 exactly
};

constexpr double kVisibleLevel = 0.05;

// `arm` and `base` of the same seeds, at least one; `base_seeds`: every seed of the base.
PairedDelta compare_paired(std::span<const double> arm, std::span<const double> base,
                           std::span<const double> base_seeds, double level = kVisibleLevel);

}  // namespace pg
