// Random matrices and Hessians, and GPTQ as published, in double and without any cleverness.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "src/base/rng.h"

namespace pg {

constexpr double kDamping = 0.01;

using Doubles = std::vector<double>;

inline std::vector<float> random_matrix(int64_t rows, int64_t cols, uint64_t seed,
                                        double spread = 1) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<float> values;
  for (uint64_t i = 0; i < static_cast<uint64_t>(rows * cols); ++i) {
    values.push_back(static_cast<float>(spread * rng.normal(i)));
  }
  return values;
}

// X^T X of inputs that share a few directions and have unequal scales.
inline std::vector<float> correlated_hessian(int64_t cols, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest + 1);
  const auto n = static_cast<size_t>(cols);
  const size_t samples = 2 * n, directions = 4;
  const std::vector<float> mix = random_matrix(cols, directions, seed + 100);
  std::vector<float> x(samples * n);
  for (size_t s = 0; s < samples; ++s) {
    for (size_t c = 0; c < n; ++c) {
      double value = rng.normal(s * n + c);
      for (size_t d = 0; d < directions; ++d) {
        value += 2 * static_cast<double>(mix[c * directions + d]) *
                 rng.normal((uint64_t{1} << 40) + s * directions + d);
      }
      x[s * n + c] = static_cast<float>(value * (0.25 + rng.uniform((uint64_t{1} << 41) + c)));
    }
  }
  std::vector<float> hessian(n * n);
  for (size_t s = 0; s < samples; ++s) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) hessian[i * n + j] += x[s * n + i] * x[s * n + j];
    }
  }
  return hessian;
}

inline double mean_diagonal(const std::vector<float>& hessian, size_t n) {
  double sum = 0;
  for (size_t c = 0; c < n; ++c) sum += static_cast<double>(hessian[c * n + c]);
  return sum / static_cast<double>(n);
}

// Lower Cholesky factor, by the textbook.
inline Doubles cholesky_lower(const Doubles& a, size_t n) {
  Doubles l(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i == j ? std::sqrt(sum) : sum / l[j * n + j];
    }
  }
  return l;
}

inline Doubles invert(Doubles a,
                      size_t n) {  // Gauss-Jordan; positive definite matrices need no pivots
  Doubles inverse(n * n);
  for (size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (size_t p = 0; p < n; ++p) {
    const double pivot = 1 / a[p * n + p];
    for (size_t j = 0; j < n; ++j) a[p * n + j] *= pivot, inverse[p * n + j] *= pivot;
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i * n + p];
      if (i == p || factor == 0) continue;
      for (size_t j = 0; j < n; ++j) {
        a[i * n + j] -= factor * a[p * n + j];
        inverse[i * n + j] -= factor * inverse[p * n + j];
      }
    }
  }
  return inverse;
}

struct Published {
  std::vector<int8_t> codes;
  Doubles tie_distances;  // [rows, cols] scales from the place where the code would change
};

// Steps 2 to 6 of formulas.md 4.2 E as they stand: damped H, act-order, upper factor of H^-1.
inline Published quantize_published(const std::vector<float>& values, size_t rows, size_t n,
                                    const std::vector<float>& hessian,
                                    const std::vector<float>& scales, int max_code) {
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return hessian[a * n + a] > hessian[b * n + b]; });
  const double damping = kDamping * mean_diagonal(hessian, n);
  Doubles h(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      h[i * n + j] = static_cast<double>(hessian[order[i] * n + order[j]]) + (i == j) * damping;
    }
  }
  const Doubles lower = cholesky_lower(invert(h, n), n);  // the upper factor is its transpose
  Published out{.codes = std::vector<int8_t>(rows * n), .tie_distances = Doubles(rows * n)};
  for (size_t r = 0; r < rows; ++r) {
    Doubles w(n);
    for (size_t k = 0; k < n; ++k) w[k] = static_cast<double>(values[r * n + order[k]]);
    const auto scale = static_cast<double>(scales[r]);
    for (size_t k = 0; k < n; ++k) {
      const double ratio = w[k] / scale;
      const double code = std::clamp<double>(std::nearbyint(ratio), -max_code, max_code);
      const double error = (w[k] - code * scale) / lower[k * n + k];
      for (size_t j = k + 1; j < n; ++j) w[j] -= error * lower[j * n + k];
      out.codes[r * n + order[k]] = static_cast<int8_t>(code);
      const double to_tie = std::fabs(std::fabs(ratio - std::floor(ratio)) - 0.5);
      out.tie_distances[r * n + order[k]] =
          std::fabs(ratio) > max_code + 0.5 ? std::fabs(ratio) - max_code - 0.5 : to_tie;
    }
  }
  return out;
}

}  // namespace pg
