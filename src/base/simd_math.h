// exp and tanh that compilers vectorise inside `#pragma omp simd` loops and that give the same bits
// on every machine with the same contraction rules; libm's stay scalar without -ffast-math.
#pragma once
#include <bit>
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
  const float shifted = x * kLog2e + kRoundMagic;
  const float n = shifted - kRoundMagic;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
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

}  // namespace pg
