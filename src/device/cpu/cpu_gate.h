// The gates of smear and of cpu_gates.cpp, which their gradients compute anew.
#pragma once
#include <cstdint>

#include "src/base/simd_math.h"
#include "src/device/cpu/cpu_loops.h"

namespace pg::cpu {

// <parts>
inline float sigmoid_simd(float x) { return 1.0f / (1.0f + exp_simd(-x)); }
// </parts>

// sigmoid(gate)[dim]
inline const float* compute_sigmoid(In gate, int64_t dim, CpuScratch& scratch) {
  const auto* const x = gate.as<float>();
  float* const g = shared_floats(scratch, kSlotVector, dim);
#pragma omp simd
  for (int64_t i = 0; i < dim; ++i) g[i] = 1.0f / (1.0f + exp_simd(-x[i]));
  return g;
}

}  // namespace pg::cpu
