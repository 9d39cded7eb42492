// Matrices whose output channels are scaled, and the gradient of that; all of a bank in one launch.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// `count` matrices [rows, cols], `stride` elements apart; a scale per row, s_stride apart from matrix
// to matrix.
struct ScaledMatrices {
  int64_t count, rows, cols, stride, s_stride;
};

// y[r, :] = s[r] x[r, :], rounded once; T is float or bf16.
template <class T>
void scale_rows(Dest<T> y, const float* x, const float* s, const ScaledMatrices& shape,
                Stream stream);

// In place of dy: ds[r] = sum over columns of dy x, then dx[r, :] = s[r] dy[r, :]. Null ds is not
// computed.
void scale_rows_backward(float* dx, float* ds, const float* x, const float* s,
                         const ScaledMatrices& shape, Stream stream);

}  // namespace pg::kernels
