// One pass over the matrix, row by row: adding in row order keeps memory access and sums in order.
#include "quant/method/awq_lite.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/base/check.h"

namespace pg {

SalientColumns find_salient_columns(std::span<const float> values, int64_t rows, int64_t cols,
                                    std::span<const float> hessian_diagonal) {
  PG_CHECK(rows > 0 && cols > 0 && std::ssize(values) == rows * cols,
           "values must be [rows, cols]");
  PG_CHECK(std::ssize(hessian_diagonal) == cols, "the diagonal must be [cols]");
  std::vector<double> sums(static_cast<size_t>(cols));  // of |w| by column
  for (int64_t r = 0; r < rows; ++r) {
    const float* const row = values.data() + r * cols;
    for (size_t c = 0; c < sums.size(); ++c) sums[c] += static_cast<double>(std::fabs(row[c]));
  }
  SalientColumns best{.score = -1, .first_column = 0};
  for (int64_t first = 0; first < cols; first += kSalientColumns) {
    double score = 0;
    for (int64_t i = first; i < std::min(first + kSalientColumns, cols); ++i) {
      const auto c = static_cast<size_t>(i);
      score += std::sqrt(static_cast<double>(hessian_diagonal[c])) * sums[c];
    }
    score /= static_cast<double>(rows);
    if (score > best.score) best = {.score = score, .first_column = first};
  }
  return best;
}

}  // namespace pg
