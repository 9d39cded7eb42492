// RMSNorm without a weight (Zhang, Sennrich 2019), forward and backward; T is float or bf16,
// statistics are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// r = 1/sqrt(mean(x^2) + eps); y[rows, dim] = scale r x; rstd[rows] = r.
template <class T>
void rmsnorm(Dest<T> y, Dest<float> rstd, const T* x, float scale, float eps, int64_t rows,
             int64_t dim, Stream stream);

// dx[rows, dim] = scale r (dy - x r^2 mean(dy x)) with r = rstd[row]; dy, x [rows, dim].
template <class T>
void rmsnorm_backward(Dest<T> dx, const T* dy, const T* x, const float* rstd, float scale,
                      int64_t rows, int64_t dim, Stream stream);

}  // namespace pg::kernels
