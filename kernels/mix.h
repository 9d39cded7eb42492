// A weighted sum of two matrices with weights per channel, forward and backward; T is float or bf16,
// arithmetic is f32. a, b f32 [dim]; a null a or b counts as ones.
#pragma once
#include "kernels/row_views.h"

namespace pg::kernels {

// y[rows, dim] = a x + b z; a null z counts as 0.
template <class T>
void mix(RowsOut<T> y, RowsIn<T> x, const float* a, RowsIn<T> z, const float* b, int64_t rows,
         int64_t dim, Stream stream);

// dx = a dy, dz = b dy, da = sum over rows of dy x, db = of dy z; da, db [dim]. x is read only for
// da, z only for db. partial: column_partials(2, rows, dim).
template <class T>
void mix_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> da, Dest<float> db, RowsIn<T> dy,
                  RowsIn<T> x, const float* a, RowsIn<T> z, const float* b, float* partial,
                  int64_t rows, int64_t dim, Stream stream);

}  // namespace pg::kernels
