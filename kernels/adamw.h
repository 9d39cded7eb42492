// AdamW (Loshchilov, Hutter 2019) in one pass over f32 parameters and state.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

inline constexpr int64_t kAdamWStepScalars = 7;

// With g' = g coefficient: m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2; p = p (1 - lr wd) -
// lr (m/bias1) / (sqrt(v/bias2) + eps); p, m, v, g [count]. cautious: wd counts as 0 unless m p > 0.
// A coefficient [1] that is NaN changes nothing; null counts as 1. step [kAdamWStepScalars]: lr, b1,
// b2, eps, wd, bias1, bias2, the AdamWStep of src/device/ops.h.
void adamw(float* p, float* m, float* v, const float* g, const float* coefficient,
           const float* step, bool cautious, int64_t count, Stream stream);

}  // namespace pg::kernels
