// Householder's tridiagonal form, then QL steps with implicit shifts (Golub and Van Loan, Matrix
// Computations, 8.3; EISPACK's tred2 and tql2). Every sum is one of lane_sums.h and every other loop
// treats elements one by one, so nothing depends on how it is compiled.
#include "quant/method/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "quant/method/fused_product.h"
#include "src/base/check.h"
#include "src/base/lane_sums.h"

namespace pg {
namespace {

using Doubles = std::vector<double>;

double dot(const double* x, const double* y, int64_t n) {
  return sum_products<double>(
      n, [x](int64_t i) { return x[i]; }, [y](int64_t i) { return y[i]; });
}

// y += factor x
void add_scaled(double factor, const double* x, double* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = std::fma(factor, x[i], y[i]);
}

// The square of what is nothing beside numbers near 1, and no denormal yet.
constexpr double kNothing = 1e-280;

// a = Q T Q^T, Q = H_0 H_1 ...; H_k = I - factors[k] v v^T with v = reflectors[k], zero up to k.
struct Tridiagonal {
  Doubles diagonal, beside;  // [n] each; the last of `beside` is 0
  Doubles reflectors;        // [n, n]
  Doubles factors;           // [n]
};

Tridiagonal reduce(Doubles a, int64_t n) {
  Tridiagonal t{Doubles(at(n)), Doubles(at(n)), Doubles(at(n * n)), Doubles(at(n))};
  Doubles w(at(n));
  for (int64_t k = 0; k + 1 < n; ++k) {
    const double* const row = a.data() + k * n;
    const int64_t first = k + 1, count = n - first;
    double* const v = t.reflectors.data() + k * n + first;
    std::copy_n(row + first, count, v);
    const double below_square = dot(v, v, count);
    if (below_square < kNothing) continue;
    const double length = std::sqrt(below_square);
    t.beside[at(k)] = v[0] > 0 ? -length : length;
    v[0] -= t.beside[at(k)];
    const double square = dot(v, v, count);
    const double factor = t.factors[at(k)] = 2 / square;
    for (int64_t i = 0; i < count; ++i) {
      w[at(i)] = factor * dot(a.data() + (first + i) * n + first, v, count);
    }
    add_scaled(-0.5 * factor * dot(w.data(), v, count), v, w.data(), count);
    for (int64_t i = 0; i < count; ++i) {
      double* const below = a.data() + (first + i) * n + first;
      add_scaled(-v[i], w.data(), below, count);
      add_scaled(-w[at(i)], v, below, count);
    }
  }
  for (int64_t k = 0; k < n; ++k) t.diagonal[at(k)] = a[at(k * (n + 1))];
  return t;
}

void rotate(double c, double s, double* lower, double* upper, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const double u = upper[i], l = lower[i];
    upper[i] = std::fma(s, l, c * u);
    lower[i] = std::fma(c, l, -(s * u));
  }
}

// One sweep over the unreduced rows [l, m]; vectors are rows.
void sweep(Doubles& d, Doubles& e, Doubles& vectors, int64_t n, int64_t l, int64_t m) {
  double g = (d[at(l + 1)] - d[at(l)]) / (2 * e[at(l)]);
  double r = std::sqrt(std::fma(g, g, 1.0));
  g = d[at(m)] - d[at(l)] + e[at(l)] / (g + std::copysign(r, g));
  double s = 1, c = 1, p = 0;
  for (int64_t i = m - 1; i >= l; --i) {
    const double f = s * e[at(i)], b = c * e[at(i)];
    r = std::sqrt(std::fma(f, f, g * g));
    e[at(i + 1)] = r;
    if (r == 0) {  // the matrix falls apart here
      d[at(i + 1)] -= p;
      e[at(m)] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[at(i + 1)] - p;
    r = std::fma(d[at(i)] - g, s, 2 * c * b);
    p = s * r;
    d[at(i + 1)] = g + p;
    g = std::fma(c, r, -b);
    rotate(c, s, vectors.data() + i * n, vectors.data() + (i + 1) * n, n);
  }
  d[at(l)] -= p;
  e[at(l)] = g;
  e[at(m)] = 0;
}

// The eigenvectors of T in its own basis, by rows; d becomes the eigenvalues.
Doubles diagonalise(Doubles& d, Doubles e, int64_t n) {
  constexpr int kMostSweeps = 60;  // two are usual
  double norm = 0;
  for (int64_t i = 0; i < n; ++i) norm = std::max(norm, std::fabs(d[at(i)]) + std::fabs(e[at(i)]));
  const double negligible = std::numeric_limits<double>::epsilon() * norm;
  Doubles vectors(at(n * n));
  for (int64_t i = 0; i < n; ++i) vectors[at(i * (n + 1))] = 1;
  for (int64_t l = 0; l < n; ++l) {
    for (int sweeps = 0;; ++sweeps) {
      int64_t m = l;
      while (m + 1 < n && !(std::fabs(e[at(m)]) <= negligible)) ++m;
      if (m == l) break;
      PG_CHECK(sweeps < kMostSweeps, "eigenvectors of a matrix that is not finite");
      sweep(d, e, vectors, n, l, m);
    }
  }
  return vectors;
}

}  // namespace

std::vector<double> leading_eigenvectors(std::span<const double> a, int64_t n, int64_t count) {
  PG_CHECK(std::ssize(a) == n * n && count >= 1 && count <= n, "a must be [n, n]");
  // Scaled by a power of two, so that no square leaves the range of numbers.
  double largest = 0;
  for (const double x : a) largest = std::max(largest, std::fabs(x));
  const int exponent = largest > 0 ? -std::ilogb(largest) : 0;
  Doubles scaled;
  for (const double x : a) scaled.push_back(std::ldexp(x, exponent));

  Tridiagonal t = reduce(std::move(scaled), n);
  const Doubles vectors = diagonalise(t.diagonal, std::move(t.beside), n);
  std::vector<int64_t> order(at(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t i, int64_t j) { return t.diagonal[at(i)] > t.diagonal[at(j)]; });
  Doubles leading;
  for (int64_t i = 0; i < count; ++i) {
    const auto from = vectors.begin() + order[at(i)] * n;
    leading.insert(leading.end(), from, from + n);
    double* const x = leading.data() + i * n;
    for (int64_t k = n - 2; k >= 0; --k) {
      const double* const v = t.reflectors.data() + k * n + k + 1;
      double* const below = x + k + 1;
      add_scaled(-t.factors[at(k)] * dot(v, below, n - k - 1), v, below, n - k - 1);
    }
  }
  return leading;
}

}  // namespace pg
