// Doubles appear only where a product feeds a division or stands alone: a compiler that fuses
// multiply and add then finds nothing to fuse, and every machine chooses the same.
#include "quant/coder/weight_levels.h"

#include <algorithm>
#include <cstdlib>

namespace pg {
namespace {

int64_t sum_differences(const int8_t* a, const int8_t* b, int64_t n) {
  int64_t sum = 0;
  for (int64_t begin = 0; begin < n; begin += 4096) {
    uint32_t part = 0;  // 32-bit sums vectorise well
    for (int64_t j = begin; j < std::min(n, begin + 4096); ++j) {
      part += static_cast<uint32_t>(std::abs(a[j] - b[j]));
    }
    sum += part;
  }
  return sum;
}

std::vector<int32_t> find_base_rows(const CodeShape& shape, const int8_t* codes) {
  const std::vector<int8_t> zeros(static_cast<size_t>(shape.cols));
  std::vector<int32_t> base_row;
  int32_t last = -1;
  for (int64_t i = 0; i < shape.rows; ++i) {
    const int32_t base = next_base_row(base_row, last);
    const int8_t* row = codes + i * shape.cols;
    const bool repeats =
        base >= 0 && 2 * sum_differences(row, codes + base * shape.cols, shape.cols) <
                         sum_differences(row, zeros.data(), shape.cols);
    base_row.push_back(repeats ? base : -1);
    if (repeats) last = static_cast<int32_t>(i);
  }
  return base_row;
}

// log2 of the evidence that the prior counts as: variance of one code's magnitude over the variance
// of the true levels, both relative. The latter is what the sums' own variance leaves above the
// noise of n codes. Half of what that ratio says measured best (0.05 %): levels are no Gaussians.
int choose_weight(double noise, double sums_variance, int64_t n) {
  const double spread = sums_variance - noise / static_cast<double>(n);
  if (!(spread > 0)) return kMaxWeightLog;
  const auto bits = std::bit_cast<uint64_t>(noise / spread);
  return std::clamp(static_cast<int>(bits >> 52) - 1024, 0, kMaxWeightLog);
}

// E[x^2] / E[x]^2 - 1
double relative_variance(double sum_squares, double sum, double n) {
  return sum_squares / (sum * sum / n) - 1;
}

}  // namespace

WeightLevels choose_levels(const CodeShape& shape, const int8_t* codes) {
  WeightLevels levels;
  levels.base_row = find_base_rows(shape, codes);
  std::vector<uint32_t> col_sums(static_cast<size_t>(shape.cols));
  uint64_t sum = 0, squares = 0, row_squares = 0, own_rows = 0;
  for (int64_t i = 0; i < shape.rows; ++i) {
    if (levels.base_row[static_cast<size_t>(i)] >= 0) continue;
    const int8_t* row = codes + i * shape.cols;
    uint64_t row_sum = 0;
    for (int64_t begin = 0; begin < shape.cols; begin += 4096) {
      uint32_t part_sum = 0, part_squares = 0;
      for (int64_t j = begin; j < std::min(shape.cols, begin + 4096); ++j) {
        const auto a = static_cast<uint32_t>(std::abs(row[j]));
        part_sum += a;
        part_squares += a * a;
        col_sums[static_cast<size_t>(j)] += a;
      }
      row_sum += part_sum;
      squares += part_squares;
    }
    sum += row_sum;
    row_squares += row_sum * row_sum;
    ++own_rows;
  }
  if (sum == 0) return levels;
  uint64_t col_squares = 0;
  for (const uint64_t s : col_sums) col_squares += s * s;
  const auto total = static_cast<double>(sum), rows = static_cast<double>(own_rows),
             cols = static_cast<double>(shape.cols);
  const double noise =
      std::max(relative_variance(static_cast<double>(squares), total, rows * cols), 1.0 / 64);
  levels.row_weight = choose_weight(
      noise, relative_variance(static_cast<double>(row_squares), total, rows), shape.cols);
  levels.col_weight =
      choose_weight(noise, relative_variance(static_cast<double>(col_squares), total, cols),
                    static_cast<int64_t>(own_rows));
  const int32_t mean_log =
      log2_fixed(static_cast<float>(sum * 256)) -
      log2_fixed(static_cast<float>(own_rows * static_cast<uint64_t>(shape.cols)));
  levels.mean_log = std::clamp(mean_log >> 2, 0, 255);
  return levels;
}

}  // namespace pg
