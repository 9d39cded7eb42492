// A sum of two matrices, one of them scaled, forward and backward; T is float or bf16, arithmetic is
// f32. s = s1 s2, with s1, s2 f32 [1] in device memory; a null one counts as 1.
#pragma once
#include "kernels/row_views.h"

namespace pg::kernels {

// y[rows, dim] = x + s z.
template <class T>
void add_scaled(RowsOut<T> y, RowsIn<T> x, RowsIn<T> z, const float* s1, const float* s2,
                int64_t rows, int64_t dim, Stream stream);

// dx = dy, dz = s dy, ds1 = s2 sum(dy z), ds2 = s1 sum(dy z); ds [1]. z is read only where a ds is
// asked for. partial: total_partials<T>(2, dim).
template <class T>
void add_scaled_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> ds1, Dest<float> ds2,
                         RowsIn<T> dy, RowsIn<T> z, const float* s1, const float* s2,
                         float* partial, int64_t rows, int64_t dim, Stream stream);

}  // namespace pg::kernels
