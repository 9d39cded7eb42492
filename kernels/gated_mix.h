// A sum of two matrices with a gate per channel, forward and backward; T is float or bf16, arithmetic
// is f32. g = sigmoid(gate); gate, w f32 [dim].
#pragma once
#include "kernels/row_views.h"

namespace pg::kernels {

// y[rows, dim] = g x + (1-g) w z.
template <class T>
void gated_mix(RowsOut<T> y, RowsIn<T> x, RowsIn<T> z, const float* w, const float* gate,
               int64_t rows, int64_t dim, Stream stream);

// dx = g dy, dz = (1-g) w dy; over rows dw = (1-g) sum dy z, dgate = g (1-g) sum dy (x - w z); dw,
// dgate [dim]. partial: column_partials(2, rows, dim).
template <class T>
void gated_mix_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> dw, Dest<float> dgate,
                        RowsIn<T> dy, RowsIn<T> x, RowsIn<T> z, const float* w, const float* gate,
                        float* partial, int64_t rows, int64_t dim, Stream stream);

}  // namespace pg::kernels
