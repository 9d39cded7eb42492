// LQER (Zhang et al., arXiv 2402.02446), asymmetric: a low-rank approximation of what quantisation
// lost, itself in few bits (formulas.md 4.2 H).
#pragma once
#include <cstdint>
#include <span>

#include "quant/format/low_rank.h"

namespace pg {

struct LowRankOptions {
  int rank = 4;    // at most min(rows, cols)
  int group = 64;  // b codes that share a scale
};

// The best approximation A B of `error` with `rank` directions: A = U S in 2 bits with one scale,
// B = V^T in 4 bits with a scale per group; the largest a is 1.5 times its scale, as published.
// Values must be finite.
LowRank fit_low_rank(std::span<const float> error,  // [rows, cols] weights - dequantised weights
                     int64_t rows, int64_t cols, const LowRankOptions& options);

}  // namespace pg
