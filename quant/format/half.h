// IEEE binary16 as stored in artifacts: row scales and small tensors. In plain integer arithmetic,
// because a decoder must give the same bits on every machine and compilers disagree about _Float16.
#pragma once
#include <bit>
#include <cstdint>

namespace pg {

constexpr uint16_t kHalfInfinity = 0x7c00;

// Rounds to nearest even; from 65520 on the result is infinity.
constexpr uint16_t half_from_float(float value) {
  const uint32_t all = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (all >> 16) & 0x8000u;
  const uint32_t u = all & 0x7fffffffu;
  uint32_t half;
  if (u > 0x7f800000u) {
    half = 0x7e00u;  // NaN
  } else if (u >= 0x47800000u) {
    half = kHalfInfinity;  // 2^16 and above
  } else if (u < 0x38800000u) {
    // Below 2^-14 the step is 2^-24, which is the step of floats in [0.5, 1): the addition rounds.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(u) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  } else {
    half = (u + 0xfffu + ((u >> 13) & 1u) - 0x38000000u) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

constexpr float float_from_half(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 31u;
  const uint32_t mantissa = half & 1023u;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  const uint32_t wide = exponent == 31 ? 0x7f800000u : (exponent + 112u) << 23;
  return std::bit_cast<float>(sign | wide | (mantissa << 13));
}

constexpr bool is_finite_half(uint16_t half) { return (half & kHalfInfinity) != kHalfInfinity; }

}  // namespace pg
