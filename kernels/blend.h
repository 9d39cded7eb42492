// A weighted sum of two matrices, forward and backward; T is float or bf16, arithmetic is f32. a, b
// f32 [1] in device memory; a null a counts as 1. s = b, or sigmoid(b) with `sigmoid_of_b`.
#pragma once
#include "kernels/row_views.h"

namespace pg::kernels {

// y[rows, dim] = a x + s z.
template <class T>
void blend(RowsOut<T> y, RowsIn<T> x, const float* a, RowsIn<T> z, const float* b,
           bool sigmoid_of_b, int64_t rows, int64_t dim, Stream stream);

// dx = a dy, dz = s dy, da = sum(dy x), db = s' sum(dy z) with s' = 1, or s (1-s); da, db [1]. x is
// read only for da, z only for db. partial: total_partials<T>(2, dim).
template <class T>
void blend_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> da, Dest<float> db, RowsIn<T> dy,
                    RowsIn<T> x, const float* a, RowsIn<T> z, const float* b, bool sigmoid_of_b,
                    float* partial, int64_t rows, int64_t dim, Stream stream);

}  // namespace pg::kernels
