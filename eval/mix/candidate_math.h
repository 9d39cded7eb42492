// exp and log over arrays of candidates, in loops the compiler vectorises.
#pragma once
#include <bit>
#include <cstdint>

namespace pg {

// e^x in double: x = n ln2 + r, |r| <= ln2/2, Taylor to r^12 / 12! (< 2e-16 relative). Below -700
// it stays at e^-700, above 700 at e^700.
inline double exp_f64(double x) {
  constexpr double kLog2e = 1.4426950408889634;
  constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  constexpr double kRoundMagic = 6755399441055744.0;  // 1.5 * 2^52
  x = x < -700.0 ? -700.0 : x;
  x = x > 700.0 ? 700.0 : x;
  const double shifted = x * kLog2e + kRoundMagic;
  const double n = shifted - kRoundMagic;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return std::bit_cast<double>(std::bit_cast<uint64_t>(p) +
                               (std::bit_cast<uint64_t>(shifted) << 52));
}

// ln x for normal float x > 0: x = 2^n m, m in [sqrt(1/2), sqrt(2)), then Cephes' polynomial for
// ln m. Relative error below 2e-7 of max(1, |ln x|).
inline float log_simd(float x) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const uint32_t shifted = std::bit_cast<uint32_t>(x) - kSqrtHalf;
  const auto n = static_cast<float>(static_cast<int32_t>(shifted) >> 23);
  const float m = std::bit_cast<float>((shifted & 0x007fffffu) + kSqrtHalf);
  const float r = m - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  return r + (p * r - 0.5f) * r * r + n * 0.693147181f;
}

}  // namespace pg
