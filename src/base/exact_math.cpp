// The polynomials are those of fdlibm (Sun Microsystems 1993), evaluated by fused multiply-adds.
// Every product that meets a sum is written as one, so that no compiler has anything to contract.
#include "src/base/exact_math.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "src/base/simd_math.h"

namespace pg {
namespace {

// c[0] + c[1] x + c[2] x^2 ...
template <size_t kCount>
double polynomial(const std::array<double, kCount>& c, double x) {
  double p = c[kCount - 1];
  for (size_t i = kCount - 1; i-- > 0;) p = std::fma(p, x, c[i]);
  return p;
}

}  // namespace

// x = 2^n m, m in [sqrt(1/2), sqrt(2)); with f = m - 1 and s = f / (2 + f), ln m = f - f^2/2 + s
// (f^2/2 + R), R a polynomial in s^2.
double log_f64(double x) {
  constexpr uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr std::array kR = {6.666666666666735130e-01, 3.999999999940941908e-01,
                             2.857142874366239149e-01, 2.222219843214978396e-01,
                             1.818357216161805012e-01, 1.531383769920937332e-01,
                             1.479819860511658591e-01};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kLeastNormal = std::numeric_limits<double>::min();
  if (!(x > 0.0)) return x == 0.0 ? -kInfinity : std::numeric_limits<double>::quiet_NaN();
  if (x == kInfinity) return x;
  const bool is_tiny = x < kLeastNormal;
  const auto bits = std::bit_cast<uint64_t>(is_tiny ? x * 0x1.0p54 : x);
  const int64_t exponent = static_cast<int64_t>(bits - kSqrtHalf) >> 52;
  const double m = std::bit_cast<double>(bits - (static_cast<uint64_t>(exponent) << 52));
  const auto n = static_cast<double>(exponent - (is_tiny ? 54 : 0));
  const double f = m - 1.0, s = f / (2.0 + f), z = s * s;
  const double half_square = 0.5 * f * f, r = z * polynomial(kR, z);
  const double low = std::fma(s, half_square + r, n * kLn2Low);
  return std::fma(n, kLn2High, f - (half_square - low));
}

double pow_f64(double x, double y) { return exp_f64(y * log_f64(x)); }

double log2_f64(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [1/2, 1)
  if (m < std::numbers::sqrt2 / 2) {
    m *= 2;
    --exponent;
  }
  return std::fma(log_f64(m), std::numbers::log2e, static_cast<double>(exponent));
}

double exp2_f64(double x) {
  const double n = std::nearbyint(x);
  return std::ldexp(exp_f64((x - n) * std::numbers::ln2), static_cast<int>(n));
}

// x = n pi/2 + r, |r| <= pi/4: pi/2 in two parts, of which the first leaves what is small to a
// fused multiply-add's single rounding.
SinCos sin_cos_f64(double x) {
  constexpr double kTwoOverPi = 6.36619772367581382433e-01;
  constexpr double kHalfPiHigh = 1.57079632679489655800e+00,
                   kHalfPiLow = 6.12323399573676603587e-17;
  constexpr std::array kSin = {-1.66666666666666324348e-01, 8.33333333332248946124e-03,
                               -1.98412698298579493134e-04, 2.75573137070700676789e-06,
                               -2.50507602534068634195e-08, 1.58969099521155010221e-10};
  constexpr std::array kCos = {4.16666666666666019037e-02, -1.38888888888741095749e-03,
                               2.48015872894767294178e-05, -2.75573143513906633035e-07,
                               2.08757232129817482790e-09, -1.13596475577881948265e-11};
  const double n = std::nearbyint(x * kTwoOverPi);
  const double r = std::fma(-n, kHalfPiLow, std::fma(-n, kHalfPiHigh, x));
  const double z = r * r;
  const double sine = std::fma(r * z, polynomial(kSin, z), r);
  const double cosine = std::fma(z * z, polynomial(kCos, z), std::fma(z, -0.5, 1.0));
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace pg
