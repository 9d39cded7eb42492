// The iteration maps each singular value s to f(s) = a s + b s^3 + c s^5 and keeps the singular
// vectors. A perturbation E of X changes f(X) by a matrix whose entries, in the bases of singular
// vectors, are E's entries times divided differences of f: (f(si) - f(sj)) / (si - sj) on the
// symmetric part, (f(si) + f(sj)) / (si + sj) on the antisymmetric one, f(si) / si beyond the
// square part (Higham, Functions of Matrices, 2008, section 3.2, for the odd f of generalised
// matrix functions: Noferini, 2017). So the largest divided difference of all later steps together
// is how much an error made now can grow in Frobenius norm.
//
// Errors made in one step, of a stored X, A = X XT, B = b A + c A A, B X, in Frobenius norm:
// rounding X costs unit |X|; A and A A cost their rounding and their accumulation in f32 times the
// derivative of the rest, at most |s_max|. Errors of different stages are independent and of mean
// 0, so they add up in quadrature; the unit is the largest relative rounding error, 2.4 times its
// root mean square, and that ratio is the bound's only margin.
#include "tests/ops/newton_schulz_tolerance.h"

#include <algorithm>
#include <cmath>

#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

constexpr double kTinySingularValue = 1e-6;
constexpr int kMaxSweeps = 30;

// Singular values by one-sided Jacobi rotations of the columns (Hestenes 1958).
Values singular_values(Values columns, size_t count, size_t length) {
  const auto at = [&](size_t c) { return &columns[c * length]; };
  const auto dot = [&](const double* a, const double* b) {
    double total = 0.0;
    for (size_t i = 0; i < length; ++i) total += a[i] * b[i];
    return total;
  };
  bool is_done = false;
  for (int sweep = 0; sweep < kMaxSweeps && !is_done; ++sweep) {
    is_done = true;
    for (size_t p = 0; p < count; ++p) {
      for (size_t q = p + 1; q < count; ++q) {
        const double pp = dot(at(p), at(p)), qq = dot(at(q), at(q)), pq = dot(at(p), at(q));
        if (std::abs(pq) <= 1e-14 * std::sqrt(pp * qq)) continue;
        is_done = false;
        const double zeta = (qq - pp) / (2.0 * pq);
        const double t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
        const double c = 1.0 / std::hypot(1.0, t), s = c * t;
        for (size_t i = 0; i < length; ++i) {
          const double x = at(p)[i], y = at(q)[i];
          at(p)[i] = c * x - s * y;
          at(q)[i] = s * x + c * y;
        }
      }
    }
  }
  Values values(count);
  for (size_t c = 0; c < count; ++c) values[c] = std::sqrt(dot(at(c), at(c)));
  return values;
}

double apply(const NewtonSchulzCoefficients& f, double s) {
  return s * (f[0] + s * s * (f[1] + s * s * f[2]));
}
double slope(const NewtonSchulzCoefficients& f, double s) {
  return f[0] + s * s * (3.0 * f[1] + s * s * 5.0 * f[2]);
}

// The largest divided difference of the composition of `steps` over the singular values s.
double largest_growth(std::span<const NewtonSchulzCoefficients> steps, Values s) {
  Values end = s, derivative(s.size(), 1.0);
  for (size_t i = 0; i < s.size(); ++i) {
    s[i] = end[i] = std::max(s[i], kTinySingularValue);
    for (const auto& f : steps) {
      derivative[i] *= slope(f, end[i]);
      end[i] = apply(f, end[i]);
    }
  }
  double growth = 0.0;
  for (size_t i = 0; i < s.size(); ++i) {
    growth = std::max({growth, std::abs(derivative[i]), std::abs(end[i] / s[i])});
    for (size_t j = 0; j < i; ++j) {
      growth = std::max(growth, std::abs((end[i] + end[j]) / (s[i] + s[j])));
      if (std::abs(s[i] - s[j]) < kTinySingularValue) continue;  // the derivative covers it
      growth = std::max(growth, std::abs((end[i] - end[j]) / (s[i] - s[j])));
    }
  }
  return growth;
}

template <class F>
double norm_of(const Values& s, const F& f) {
  double squares = 0.0;
  for (const double v : s) squares += f(v) * f(v);
  return std::sqrt(squares);
}

// Square of the Frobenius norm of the error that one step adds to its result.
double step_error_squared(const NewtonSchulzCoefficients& f, const Values& s, double unit,
                          double accumulation_short, double accumulation_long) {
  const double b = f[1], c = f[2], top = *std::max_element(s.begin(), s.end());
  const double x_norm = norm_of(s, [](double v) { return v; });
  const double gram_norm = norm_of(s, [](double v) { return v * v; });
  const double square_norm = norm_of(s, [](double v) { return std::pow(v, 4); });
  const double poly_norm = norm_of(s, [&](double v) { return b * v * v + c * std::pow(v, 4); });
  const double product_norm =
      norm_of(s, [&](double v) { return b * std::pow(v, 3) + c * std::pow(v, 5); });
  // A product accumulated in f32 errs relative to the product of the norms of its factors.
  const double gram = (unit * gram_norm + accumulation_long * x_norm * x_norm) * top *
                      (std::abs(b) + 2 * std::abs(c) * top * top);
  const double square =
      std::abs(c) * (unit * square_norm + accumulation_short * gram_norm * gram_norm) * top;
  const double poly = unit * poly_norm * top;
  const double product = unit * product_norm + accumulation_short * poly_norm * x_norm;
  return gram * gram + square * square + poly * poly + product * product;
}

// Divides vector i by sqrt(sum_j |A_ij|). How far the result is off relative to itself, at most: half
// the relative error of the sums, to which A's elements add |x_i| |x_j| times a rounding of each
// factor and of the sum, all independent.
double scale_almost_orthogonal(Values& vectors, size_t count, size_t length, double unit) {
  Values gram(count * count, 0.0), sums(count, 0.0);
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j) {
      for (size_t k = 0; k < length; ++k) {
        gram[i * count + j] += vectors[i * length + k] * vectors[j * length + k];
      }
      sums[i] += std::abs(gram[i * count + j]);
    }
  }
  const double accumulation = kUnitF32 * std::sqrt(static_cast<double>(length));
  double worst = 0.0;
  for (size_t i = 0; i < count; ++i) {
    double squares = 0.0;
    for (size_t j = 0; j < count; ++j) {
      squares += gram[i * count + i] * gram[j * count + j] * 2 *
                 (unit * unit + accumulation * accumulation);
    }
    worst = std::max(worst, 0.5 * std::sqrt(squares) / sums[i]);
    for (size_t k = 0; k < length; ++k) vectors[i * length + k] /= std::sqrt(sums[i]);
  }
  return worst + kUnitF32 * (0.5 * sum_units(static_cast<int64_t>(count)) + 4);
}

}  // namespace

double newton_schulz_error(const Values& u, int64_t rows, int64_t cols,
                           std::span<const NewtonSchulzCoefficients> steps, NewtonSchulzStart start,
                           double compute_unit) {
  const size_t small = static_cast<size_t>(std::min(rows, cols));
  const size_t large = static_cast<size_t>(std::max(rows, cols));
  Values columns(u.size());  // the vectors of the smaller side, each contiguous
  for (size_t i = 0; i < small; ++i) {
    for (size_t j = 0; j < large; ++j) {
      columns[i * large + j] = u[rows <= cols ? i * large + j : j * small + i];
    }
  }
  const double norm = norm_of(u, [](double v) { return v; }) + 1e-7;
  for (double& v : columns) v /= norm;
  // The norm of u is a sum of rows * cols squares; the quotient rounds.
  double start_error = kUnitF32 * (0.5 * sum_units(rows * cols) + 4);
  if (start == NewtonSchulzStart::kAol) {
    start_error += scale_almost_orthogonal(columns, small, large, compute_unit);
  }
  Values s = singular_values(columns, small, large);
  double squared =
      std::pow(start_error * norm_of(s, [](double v) { return v; }) * largest_growth(steps, s), 2);
  if (start == NewtonSchulzStart::kAol && !steps.empty()) {
    // The first A is that of X as stored before the scaling, not after: a rounding of X that the
    // product by X does not share.
    const double top = *std::max_element(s.begin(), s.end());
    const double gram_error = 2 * compute_unit * norm_of(s, [](double v) { return v; }) * top;
    const double slope = std::abs(steps[0][1]) + 2 * std::abs(steps[0][2]) * top * top;
    squared += std::pow(gram_error * top * slope * largest_growth(steps.subspan(1), s), 2);
  }
  for (size_t k = 0; k < steps.size(); ++k) {
    // X itself is stored at the start of the step.
    const double stored = compute_unit * norm_of(s, [](double v) { return v; });
    squared += std::pow(stored * largest_growth(steps.subspan(k), s), 2);
    const double added = step_error_squared(steps[k], s, compute_unit,
                                            kUnitF32 * std::sqrt(static_cast<double>(small)),
                                            kUnitF32 * std::sqrt(static_cast<double>(large)));
    for (double& v : s) v = apply(steps[k], v);
    squared += added * std::pow(largest_growth(steps.subspan(k + 1), s), 2);
  }
  const double result_norm = norm_of(s, [](double v) { return v; });
  return std::sqrt(squared + std::pow(compute_unit * result_norm, 2));
}

}  // namespace pg::optest
