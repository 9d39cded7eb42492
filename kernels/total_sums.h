// Sums over all elements, in two steps of fixed order: a kernel leaves one f32 partial sum for each of
// its blocks, and sum_totals() adds those up.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

inline constexpr int kMaxTotals = 2;  // of one pass

struct Totals {
  Dest<float> out[kMaxTotals];  // [1] each
};

// out[k] = sum of partial[k, count], k < totals.
void sum_totals(const Totals& out, const float* partial, int totals, int64_t count, Stream stream);

}  // namespace pg::kernels
