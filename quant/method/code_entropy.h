// The yardstick of weight coders: what a code per symbol would take if it knew the histogram.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "src/base/exact_math.h"

namespace pg {

// n log2 n - sum c log2 c over the counts, in bytes.
inline double order0_entropy_bytes(std::span<const int8_t> codes) {
  std::array<int64_t, 256> counts = {};
  for (const int8_t code : codes) ++counts[static_cast<uint8_t>(code)];
  const auto x_log2_x = [](double x) { return x > 0 ? x * log2_f64(x) : 0.0; };
  double bits = x_log2_x(static_cast<double>(codes.size()));
  for (const int64_t count : counts) bits -= x_log2_x(static_cast<double>(count));
  return bits / 8;
}

}  // namespace pg
