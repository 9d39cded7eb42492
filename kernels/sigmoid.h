// The logistic function, as gates use it.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

// 1 / (1 + e^-x). Through expf, not its fast form, whose relative error grows with |x|.
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

}  // namespace pg::kernels
