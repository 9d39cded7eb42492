// Quantiles of a row's magnitudes, as torch.quantile has them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

namespace pg {

// Sorts the magnitudes from floor(lowest_p (n - 1)) on into their final places.
inline void sort_tail(std::span<float> magnitudes, double lowest_p) {
  const auto first = static_cast<int64_t>(lowest_p * static_cast<double>(magnitudes.size() - 1));
  std::nth_element(magnitudes.begin(), magnitudes.begin() + first, magnitudes.end());
  std::sort(magnitudes.begin() + first, magnitudes.end());
}

// Linear between order statistics at p (n - 1), of a tail that was sorted for p or less.
inline float interpolate_quantile(std::span<const float> magnitudes, double p) {
  const double position = p * static_cast<double>(magnitudes.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, magnitudes.size() - 1);
  const double fraction = position - static_cast<double>(below);
  const double low = magnitudes[below], high = magnitudes[above];
  return static_cast<float>(low + fraction * (high - low));
}

}  // namespace pg
