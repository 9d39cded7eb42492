// Element by element over parameters: conversions, which also add up gradients, and averages.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// y[count] = x, rounded once. Both may be float or bf16.
template <class To, class From>
void cast(Dest<To> y, const From* x, int64_t count, Stream stream);

// average[count] = decay average + (1 - decay) x; decay [1].
void lerp(float* average, const float* x, const float* decay, int64_t count, Stream stream);

}  // namespace pg::kernels
