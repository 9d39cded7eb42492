// Error bounds derived from norms: k units of roundoff times the size of what is summed. No bound
// is measured.
//
// The model: every operation is done in f32 (relative error of at most one unit, 2^-24, each) on
// inputs that are exact, because the reference gets the same rounded inputs; results are rounded
// once to storage. k counts roundings along the path; a sum of n terms costs sum_units(n) of the
// sum of |terms|, in any order.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tests/ops/op_case.h"

namespace pg::optest {

inline constexpr double kUnitF32 = 0x1p-24;
inline constexpr double kUnitBf16 = 0x1p-8;
inline constexpr double kUnitF64 = 0x1p-53;
// exp in units: src/base/simd_math.h states 2e-7 = 3.4 units, CUDA's expf 2 ulp = 4 units.
inline constexpr double kExpUnits = 4.0;
// tanh = (1 - e) / (1 + e) in units of absolute error: at e = e^-2x the error of e gives at most
// 2 kExpUnits e / (1 + e)^2 <= 2, and the three roundings (of 1 - e, 1 + e, the quotient) 1 each.
inline constexpr double kTanhUnits = 5.0;
// Values below the normal range of f32 may be flushed to 0 (AMX does), once a term.
inline constexpr double kUnderflow = 0x1p-110;

inline double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return kUnitF32;
    case DType::kBF16:
      return kUnitBf16;
    case DType::kF64:
      return kUnitF64;
    case DType::kI32:
      return 0.0;
  }
  return 0.0;
}

// How many sigmas roundings may stray: independent errors of at most e_i exceed lambda sqrt(sum
// e_i^2) with a probability of at most 2 exp(-lambda^2 / 2) (Hoeffding), which is 3e-8 for 6.
inline constexpr double kLambda = 6.0;

// Units lost in a sum of n terms relative to the sum of |terms|: n in the worst case, lambda
// sqrt(n) with probability 1 - 3e-8 (Higham, Mary: A new approach to probabilistic rounding error
// analysis, 2019).
inline double sum_units(int64_t n) {
  const double count = static_cast<double>(n);
  return std::min(count, kLambda * std::sqrt(count));
}

// Error of a sum whose terms are rounded to relative error `unit` each: the sum of |terms| at
// worst, lambda times their 2-norm with the same probability.
inline double rounded_terms_error(double unit, double sum_abs, double sum_squares) {
  return unit * std::min(sum_abs, kLambda * std::sqrt(sum_squares));
}

// k units of f32 relative to |terms|.
inline Values units_of(double k, Values sizes) {
  for (double& v : sizes) v = k * kUnitF32 * std::abs(v);
  return sizes;
}

// For ops that are linear in every input with positive coefficients: k units of the sum of |terms|.
inline ErrorBound units_of_terms(std::string output, double k) {
  return [=](const Problem& p) { return units_of(k, p.magnitude(output)); };
}

// k units of the result itself: for products and quotients, where nothing cancels.
inline ErrorBound units_of_result(std::string output, double k) {
  return [=](const Problem& p) { return units_of(k, p.want(output)); };
}

// The result is a copy: only storage rounds it.
inline ErrorBound exact(int64_t count) {
  return [=](const Problem&) { return Values(static_cast<size_t>(count), 0.0); };
}

}  // namespace pg::optest
