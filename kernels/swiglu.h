// SwiGLU (Shazeer 2020), forward and backward; T is float or bf16, arithmetic is f32. All of [rows,
// dim].
#pragma once
#include "kernels/row_views.h"

namespace pg::kernels {

// y = silu(gate) up, silu(g) = g sigmoid(g).
template <class T>
void swiglu(RowsOut<T> y, RowsIn<T> gate, RowsIn<T> up, int64_t rows, int64_t dim, Stream stream);

// With s = sigmoid(gate): dgate = dy up s (1 + gate (1 - s)), dup = dy gate s.
template <class T>
void swiglu_backward(RowsOut<T> dgate, RowsOut<T> dup, RowsIn<T> dy, RowsIn<T> gate, RowsIn<T> up,
                     int64_t rows, int64_t dim, Stream stream);

}  // namespace pg::kernels
