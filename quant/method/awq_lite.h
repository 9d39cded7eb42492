// AWQ-lite: the group of columns that most deserves a finer grid (formulas.md 4.2 I), after AWQ
// (Lin et al., arXiv 2306.00978).
#pragma once
#include <cstdint>
#include <span>

namespace pg {

constexpr int64_t kSalientColumns = 64;

// Columns [first_column, min(first_column + kSalientColumns, cols)).
struct SalientColumns {
  double score = 0;  // comparable between matrices whose H are sums over equally many tokens
  int64_t first_column = 0;
};

// The aligned group with the largest sum over its columns of rms(input) * mean|w|; the RMS of an
// input channel is the root of the Hessian's diagonal, up to the number of tokens. The first of
// equals.
SalientColumns find_salient_columns(std::span<const float> values,  // [rows, cols]
                                    int64_t rows, int64_t cols,
                                    std::span<const float> hessian_diagonal);  // [cols], >= 0

}  // namespace pg
