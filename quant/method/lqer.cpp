// The few leading singular vectors come from the eigenvectors of the smaller Gram matrix in double:
// exact enough for directions that are rounded to 4 bits, and one symmetric 512 x 512 problem where
// a full decomposition would treat 8192 x 512.
#include "quant/method/lqer.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/format/half.h"
#include "src/base/check.h"

namespace pg {
namespace {

using RowMajorFloats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMajorDoubles = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Factors {
  RowMajorDoubles a;  // [rows, rank] U S
  RowMajorDoubles b;  // [rank, cols] V^T
};

// Orthonormal columns for the largest eigenvalues of gram, largest first.
Eigen::MatrixXd leading_eigenvectors(const Eigen::MatrixXd& gram, int rank) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
  PG_CHECK(solver.info() == Eigen::Success, "the error matrix must be finite");
  return solver.eigenvectors().rightCols(rank).rowwise().reverse();
}

Factors truncate_svd(const Eigen::MatrixXd& error, int rank) {
  if (error.cols() <= error.rows()) {
    const Eigen::MatrixXd v = leading_eigenvectors(error.transpose() * error, rank);
    return {.a = error * v, .b = v.transpose()};
  }
  const Eigen::MatrixXd u = leading_eigenvectors(error * error.transpose(), rank);
  Factors out{.a = u, .b = u.transpose() * error};
  for (int k = 0; k < rank; ++k) {
    const double singular = out.b.row(k).norm();
    out.a.col(k) *= singular;
    if (singular > 0) out.b.row(k) /= singular;
  }
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
  const Factors factors = truncate_svd(
      Eigen::Map<const RowMajorFloats>(error.data(), rows, cols).cast<double>(), options.rank);
  LowRank out{.rank = options.rank, .group = options.group};
  const std::span a(factors.a.data(), static_cast<size_t>(factors.a.size()));
  out.a_scale = finite_half(find_largest(a) / kRangeA.reach());
  append_codes(a, out.a_scale, kRangeA, out.a);
  const std::span b(factors.b.data(), static_cast<size_t>(factors.b.size()));
  const auto group = static_cast<size_t>(options.group);
  for (size_t begin = 0; begin < b.size(); begin += group) {
    const auto part = b.subspan(begin, std::min(group, b.size() - begin));
    out.b_scales.push_back(finite_half(find_largest(part) / kRangeB.reach()));
    append_codes(part, out.b_scales.back(), kRangeB, out.b);
  }
  return out;
}

}  // namespace pg
