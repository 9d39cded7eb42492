// The logistic function in f32.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

// 1 / (1 + e^-x): the exponential, the sum and the quotient round; e^-x = inf gives 0.
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

}  // namespace pg::kernels
