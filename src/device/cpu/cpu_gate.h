// The gates of smear and of cpu_gates.cpp, which their gradients compute anew.
#pragma once
#include <cstdint>

#include "src/base/simd_math.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/ops.h"

namespace pg::cpu {

// <parts>
inline float sigmoid_simd(float x) { return 1.0f / (1.0f + exp_simd(-x)); }

// sigmoid(w . x[0:width]) of token_smear.
template <class T>
float compute_token_gate(const T* x, const float* w, int64_t width) {
  return sigmoid_simd(sum_products(
      // The analyzer takes the copy of a function object for null. NOLINTNEXTLINE(clang-analyzer-core.*)
      width, [x](int64_t i) { return static_cast<float>(x[i]); }, [w](int64_t i) { return w[i]; }));
}
// Whether a row of token_smear reads the one before it.
inline bool reads_row_before(const TokenSmearShape& shape, int64_t row, const int32_t* ids) {
  return (shape.first + row) % shape.tokens != 0 && ids[row] != shape.bos;
}

// sigmoid(scale w_h . n[0:width] + b_h) of a row of gate_heads; b may be null.
template <class T>
float compute_head_gate(const T* n, const float* w, const float* b, int64_t h,
                        const HeadGateShape& shape) {
  const float* const own = w + h * shape.width;
  const float product = sum_products(
      shape.width, [n](int64_t i) { return static_cast<float>(n[i]); },
      [own](int64_t i) { return own[i]; });
  return sigmoid_simd(std::fma(shape.scale, product, b != nullptr ? b[h] : 0.0f));
}

// The factor of z in blend.
inline float compute_blend_factor(In b, bool sigmoid) {
  const float value = *b.as<float>();
  return sigmoid ? sigmoid_simd(value) : value;
}
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
