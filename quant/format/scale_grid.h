// Factors of a factored grid: scales that differ by row and column in quarter octaves.
#pragma once
#include <array>
#include <cmath>

#include "src/base/exact_math.h"

namespace pg {

constexpr int kMaxOffset = 63;  // quarter octaves, either way: 2^-15.75 to 2^15.75

// 2^(offset/4). The four roots are literals and the power of two is exact: the same bits
// everywhere.
inline double offset_factor(int offset) {
  constexpr std::array<double, 4> kRoots = {1.0, 1.189207115002721, 1.4142135623730951,
                                            1.681792830507429};
  return std::ldexp(kRoots[static_cast<size_t>(offset & 3)], offset >> 2);
}

// The offset whose factor is nearest to `factor` in the logarithm, within the limits.
inline int nearest_offset(double factor) {
  if (!(factor > 0)) return -kMaxOffset;
  const double offset = std::nearbyint(4 * log2_f64(factor));
  return static_cast<int>(std::fmin(std::fmax(offset, -kMaxOffset), kMaxOffset));
}

}  // namespace pg
