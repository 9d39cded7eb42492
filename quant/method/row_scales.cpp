// Each row is summed by one thread in column order, in double.
#include "quant/method/row_scales.h"

#include <algorithm>
#include <cmath>

#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr double kScaleFloor = 1e-10;

// body(row) for every row.
template <class Body>
std::vector<double> map_rows(std::span<const float> values, int64_t rows, int64_t cols,
                             const Body& body) {
  PG_CHECK(rows > 0 && cols > 0 && std::ssize(values) == rows * cols,
           "values must be [rows, cols]");
  std::vector<double> out(static_cast<size_t>(rows));
  parallel_ranges(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      out[static_cast<size_t>(r)] =
          body(values.subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols)));
    }
  });
  return out;
}

double unbiased_std(std::span<const float> row) {
  double sum = 0, squares = 0;
  for (const float w : row) sum += static_cast<double>(w);
  const double mean = sum / static_cast<double>(row.size());
  for (const float w : row) {
    const double deviation = static_cast<double>(w) - mean;
    squares += deviation * deviation;
  }
  return std::sqrt(squares / static_cast<double>(row.size() - 1));
}

float floor_scale(double scale) { return static_cast<float>(std::max(scale, kScaleFloor)); }

}  // namespace

std::vector<float> sdclip_scales(std::span<const float> values, int64_t rows, int64_t cols,
                                 double k, int max_code) {
  PG_CHECK(cols >= 2 && max_code >= 1, "a std takes two columns, a code range at least 1");
  std::vector<float> scales;
  for (const double std : map_rows(values, rows, cols, unbiased_std)) {
    scales.push_back(floor_scale(k * std / max_code));
  }
  return scales;
}

std::vector<float> sdclip_hessian_scales(std::span<const float> values, int64_t rows, int64_t cols,
                                         std::span<const float> hessian_diagonal, double k,
                                         double strength, int max_code) {
  PG_CHECK(std::ssize(hessian_diagonal) == cols, "the diagonal must be [cols]");
  PG_CHECK(strength >= 0 && strength <= 1, "strength lies in [0, 1]: scales stay positive");
  std::vector<float> scales = sdclip_scales(values, rows, cols, k, max_code);
  const std::vector<double> sums = map_rows(values, rows, cols, [&](std::span<const float> row) {
    double sum = 0;
    for (size_t c = 0; c < row.size(); ++c) {
      sum += static_cast<double>(std::fabs(row[c])) * static_cast<double>(hessian_diagonal[c]);
    }
    return sum;
  });
  double mean = 0;
  for (const double sum : sums) mean += sum / static_cast<double>(rows);
  if (mean == 0) return scales;  // nothing tells the rows apart
  for (size_t r = 0; r < scales.size(); ++r) {
    const double factor = 1 + strength * (sums[r] / mean - 1);
    scales[r] = floor_scale(static_cast<double>(scales[r]) * factor);
  }
  return scales;
}

std::vector<float> ternary_scales(std::span<const float> values, int64_t rows, int64_t cols) {
  const auto mean_magnitude = [](std::span<const float> row) {
    double sum = 0;
    for (const float w : row) sum += static_cast<double>(std::fabs(w));
    return sum / static_cast<double>(row.size());
  };
  std::vector<float> scales;
  for (const double mean : map_rows(values, rows, cols, mean_magnitude)) {
    scales.push_back(floor_scale(mean));
  }
  return scales;
}

}  // namespace pg
