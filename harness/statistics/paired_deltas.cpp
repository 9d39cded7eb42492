#include "harness/statistics/paired_deltas.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numbers>

#include "src/base/check.h"

namespace pg {

bool PairedDelta::is_visible() const { return has_error() && std::abs(mean) > smallest_visible; }

bool PairedDelta::is_same_bits() const {
  return std::ranges::all_of(deltas, [](double delta) { return delta == 0; });
}

PairedDelta compare_paired(std::span<const double> arm, std::span<const double> base,
                           std::span<const double> base_seeds, double level) {
  PG_CHECK(!arm.empty() && arm.size() == base.size(), "pairs of the same seeds");
  PairedDelta paired;
  for (size_t i = 0; i < arm.size(); ++i) paired.deltas.push_back(arm[i] - base[i]);
  const Spread spread = spread_of(paired.deltas);
  paired.mean = spread.mean;
  if (spread.count > 1) {
    paired.source = ErrorSource::kPairs;
    paired.error = spread.sample_std / std::sqrt(static_cast<double>(spread.count));
    paired.degrees_of_freedom = static_cast<double>(spread.count - 1);
  } else if (base_seeds.size() > 1) {
    paired.source = ErrorSource::kBaseSpread;
    paired.error = std::numbers::sqrt2 * spread_of(base_seeds).sample_std;
    paired.degrees_of_freedom = static_cast<double>(base_seeds.size() - 1);
  }
  if (paired.has_error()) {
    const boost::math::students_t distribution(paired.degrees_of_freedom);
    paired.smallest_visible = boost::math::quantile(distribution, 1 - level / 2) * paired.error;
  }
  return paired;
}

}  // namespace pg
