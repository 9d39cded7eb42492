// The few leading singular vectors come from the eigenvectors of the smaller Gram matrix in double:
// exact enough for directions that are rounded to 4 bits, and one symmetric 512 x 512 problem where
// a full decomposition would treat 8192 x 512.
#include "quant/method/lqer.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "quant/format/half.h"
#include "quant/method/fused_product.h"
#include "quant/method/symmetric_eigen.h"
#include "src/base/check.h"
#include "src/base/lane_sums.h"
#include "src/base/threads.h"

namespace pg {
namespace {

struct Factors {
  std::vector<double> a;  // [rows, rank] U S
  std::vector<double> b;  // [rank, cols] V^T
};

// M^T M of M [count, n].
std::vector<double> multiply_gram(const std::vector<double>& m, int64_t count, int64_t n) {
  std::vector<double> gram(at(n * n));
  parallel_ranges(n, kFusedColumns, [&](int64_t begin, int64_t end) {
    std::vector<double> panel(at(count * kFusedColumns)), product(at(n * kFusedColumns));
    for (int64_t k = 0; k < count; ++k) {
      std::copy_n(m.data() + k * n + begin, end - begin, panel.data() + k * kFusedColumns);
    }
    add_fused_product<double>({m.data(), 1, n}, panel.data(), n, count, product.data());
    for (int64_t r = 0; r < n; ++r) {
      std::copy_n(product.data() + r * kFusedColumns, end - begin, gram.data() + r * n + begin);
    }
  });
  return gram;
}

std::vector<double> transpose(const std::vector<double>& m, int64_t rows, int64_t cols) {
  std::vector<double> out(m.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) out[at(c * rows + r)] = m[at(r * cols + c)];
  }
  return out;
}

// X V of X [rows, cols], V [cols, rank] given by its columns.
std::vector<double> project_rows(const std::vector<double>& x, int64_t rows, int64_t cols,
                                 const std::vector<double>& v, int64_t rank) {
  std::vector<double> out(at(rows * rank));
  for (int64_t r = 0; r < rows; ++r) {
    const double* const row = x.data() + r * cols;
    for (int64_t k = 0; k < rank; ++k) {
      const double* const column = v.data() + k * cols;
      out[at(r * rank + k)] = sum_products<double>(
          cols, [row](int64_t i) { return row[i]; }, [column](int64_t i) { return column[i]; });
    }
  }
  return out;
}

Factors truncate_svd(const std::vector<double>& error, int64_t rows, int64_t cols, int64_t rank) {
  if (cols <= rows) {
    std::vector<double> v = leading_eigenvectors(multiply_gram(error, rows, cols), cols, rank);
    std::vector<double> a = project_rows(error, rows, cols, v, rank);
    return {.a = std::move(a), .b = std::move(v)};
  }
  const std::vector<double> turned = transpose(error, rows, cols);  // [cols, rows]
  std::vector<double> u = leading_eigenvectors(multiply_gram(turned, cols, rows), rows, rank);
  Factors out{.a = {}, .b = transpose(project_rows(turned, cols, rows, u, rank), cols, rank)};
  for (int64_t k = 0; k < rank; ++k) {
    double* const b = out.b.data() + k * cols;
    const auto value = [b](int64_t i) { return b[i]; };
    const double singular = std::sqrt(sum_products<double>(cols, value, value));
    for (int64_t r = 0; r < rows; ++r) u[at(k * rows + r)] *= singular;
    for (int64_t c = 0; c < cols && singular > 0; ++c) b[c] /= singular;
  }
  out.a = transpose(u, rank, rows);
  return out;
}

struct CodeRange {
  int lowest, highest;
  double reach() const { return highest + 0.5; }  // the largest magnitude, in scales
};
constexpr CodeRange kRangeA = {-2, 1}, kRangeB = {-8, 7};

double find_largest(std::span<const double> values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::fabs(v));
  return largest;
}

uint16_t finite_half(double scale) {
  return std::min<uint16_t>(half_from_float(static_cast<float>(scale)), 0x7bff);
}

double round_code(double value, double scale, CodeRange range) {
  const double code = scale > 0 ? std::nearbyint(value / scale) : 0.0;
  return std::clamp<double>(code, range.lowest, range.highest);
}

void append_codes(std::span<const double> values, uint16_t half, CodeRange range,
                  std::vector<int8_t>& codes) {
  const auto scale = static_cast<double>(float_from_half(half));
  for (const double v : values) codes.push_back(static_cast<int8_t>(round_code(v, scale, range)));
}

}  // namespace

LowRank fit_low_rank(std::span<const float> error, int64_t rows, int64_t cols,
                     const LowRankOptions& options) {
  PG_CHECK(std::ssize(error) == rows * cols, "error must be [rows, cols]");
  PG_CHECK(options.rank >= 1 && options.rank <= std::min(rows, cols) && options.group >= 1,
           "rank lies in [1, min(rows, cols)], a group holds at least one code");
  const Factors factors =
      truncate_svd(std::vector<double>(error.begin(), error.end()), rows, cols, options.rank);
  LowRank out{.rank = options.rank, .group = options.group};
  out.a_scale = finite_half(find_largest(factors.a) / kRangeA.reach());
  append_codes(factors.a, out.a_scale, kRangeA, out.a);
  const std::span<const double> b = factors.b;
  const auto group = static_cast<size_t>(options.group);
  for (size_t begin = 0; begin < b.size(); begin += group) {
    const auto part = b.subspan(begin, std::min(group, b.size() - begin));
    out.b_scales.push_back(finite_half(find_largest(part) / kRangeB.reach()));
    append_codes(part, out.b_scales.back(), kRangeB, out.b);
  }
  return out;
}

}  // namespace pg
