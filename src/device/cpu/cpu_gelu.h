// <parts>
// GELU as mix_layers takes it: src/device/ops.h.
#pragma once
#include <cmath>

#include "src/device/cpu/cpu_gate.h"

namespace pg::cpu {

inline constexpr float kGeluFactor = 1.5957691216057308f;  // 2 sqrt(2/pi)
inline constexpr float kGeluCube = 0.044715f;

// gelu(x) = x gelu_gate(x)
inline float gelu_gate(float x) {
  return sigmoid_simd(kGeluFactor * std::fma(kGeluCube * x * x, x, x));
}

}  // namespace pg::cpu
// </parts>
