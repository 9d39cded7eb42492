// log over arrays of candidates, in loops the compiler vectorises, with the same bits everywhere; exp is
// in src/base/simd_math.h.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace pg {

// ln x for normal float x > 0: x = 2^n m, m in [sqrt(1/2), sqrt(2)), then Cephes' polynomial for
// ln m. Relative error below 2e-7 of max(1, |ln x|).
inline float log_simd(float x) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const uint32_t shifted = std::bit_cast<uint32_t>(x) - kSqrtHalf;
  const auto n = static_cast<float>(static_cast<int32_t>(shifted) >> 23);
  const float m = std::bit_cast<float>((shifted & 0x007fffffu) + kSqrtHalf);
  const float r = m - 1.0f;
  float p = 7.0376836292e-2f;
  p = std::fma(p, r, -1.1514610310e-1f);
  p = std::fma(p, r, 1.1676998740e-1f);
  p = std::fma(p, r, -1.2420140846e-1f);
  p = std::fma(p, r, 1.4249322787e-1f);
  p = std::fma(p, r, -1.6668057665e-1f);
  p = std::fma(p, r, 2.0000714765e-1f);
  p = std::fma(p, r, -2.4999993993e-1f);
  p = std::fma(p, r, 3.3333331174e-1f);
  const float log_m = std::fma(std::fma(p, r, -0.5f), r * r, r);
  return std::fma(n, 0.693147181f, log_m);
}

}  // namespace pg
