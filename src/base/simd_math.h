// exp and tanh that compilers vectorise inside `#pragma omp simd` loops and that give the same bits
// on every machine: a product that meets a sum is one fused multiply-add, written out. libm's stay
// scalar without -ffast-math, and differ. log, pow, sin and cos, for scalars: exact_math.h.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace pg {

// e^x for float x. Range reduction x = n ln2 + r, |r| <= ln2/2, then a degree-6 polynomial
// (minimax, Cephes expf). Relative error < 2e-7 on [-87, 88]; below -87 the result is 0 (no
// denormals), above 88 it stays at e^88.
inline float exp_simd(float x) {
  constexpr float kLog2e = 1.44269504088896341f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kMin = -87.0f, kMax = 88.0f;
  constexpr float kExpOfMax = 1.6516363e38f;
  constexpr float kRoundMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = std::fma(x, kLog2e, kRoundMagic);
  const float n = shifted - kRoundMagic;
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, x));
  float p = 1.9875691500e-4f;
  p = std::fma(p, r, 1.3981999507e-3f);
  p = std::fma(p, r, 8.3334519073e-3f);
  p = std::fma(p, r, 4.1665795894e-2f);
  p = std::fma(p, r, 1.6666665459e-1f);
  p = std::fma(p, r, 5.0000001201e-1f);
  p = std::fma(p * r, r, r) + 1.0f;
  // The low bits of `shifted` are n: shifted into the exponent field they multiply by 2^n without a
  // conversion.
  const uint32_t bits = std::bit_cast<uint32_t>(p) + (std::bit_cast<uint32_t>(shifted) << 23);
  const float in_range = std::bit_cast<float>(bits);
  const float not_below = x < kMin ? 0.0f : in_range;
  return x > kMax ? kExpOfMax : not_below;
}

// tanh(x) = (1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; for small |x| the cancellation in 1 -
// e costs at most 2^-24 absolute, which softcap (30 tanh(z / 30)) turns into 2e-6 absolute on a
// logit.
inline float tanh_simd(float x) {
  constexpr uint32_t kSign = 0x80000000u;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const float e = exp_simd(-2.0f * std::bit_cast<float>(bits & ~kSign));
  const float t = (1.0f - e) / (1.0f + e);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(t) | (bits & kSign));
}

// e^x in double: x = n ln2 + r, |r| <= ln2/2, Taylor to r^12 / 12! (< 2e-16 relative). Below -700
// it stays at e^-700, above 700 at e^700.
inline double exp_f64(double x) {
  constexpr double kLog2e = 1.4426950408889634;
  constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  constexpr double kRoundMagic = 6755399441055744.0;  // 1.5 * 2^52
  x = x < -700.0 ? -700.0 : x;
  x = x > 700.0 ? 700.0 : x;
  const double shifted = std::fma(x, kLog2e, kRoundMagic);
  const double n = shifted - kRoundMagic;
  const double r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, x));
  double p = 1.0 / 479001600;
  p = std::fma(p, r, 1.0 / 39916800);
  p = std::fma(p, r, 1.0 / 3628800);
  p = std::fma(p, r, 1.0 / 362880);
  p = std::fma(p, r, 1.0 / 40320);
  p = std::fma(p, r, 1.0 / 5040);
  p = std::fma(p, r, 1.0 / 720);
  p = std::fma(p, r, 1.0 / 120);
  p = std::fma(p, r, 1.0 / 24);
  p = std::fma(p, r, 1.0 / 6);
  p = std::fma(p, r, 0.5);
  p = std::fma(p, r, 1.0);
  p = std::fma(p, r, 1.0);
  return std::bit_cast<double>(std::bit_cast<uint64_t>(p) +
                               (std::bit_cast<uint64_t>(shifted) << 52));
}

}  // namespace pg
