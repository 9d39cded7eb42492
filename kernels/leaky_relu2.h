// LeakyReLU squared, forward and backward; T is float or bf16, arithmetic is f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// y[count] = l(x)^2, l(x) = x for x > 0 else slope x.
template <class T>
void leaky_relu2(Dest<T> y, const T* x, float slope, int64_t count, Stream stream);

// dx[count] = dy (2x for x > 0, else 2 slope^2 x).
template <class T>
void leaky_relu2_backward(Dest<T> dx, const T* dy, const T* x, float slope, int64_t count,
                          Stream stream);

}  // namespace pg::kernels
