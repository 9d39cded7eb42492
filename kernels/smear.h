// The smear gate: every row mixed with the one before it, by a gate a channel; T is float or bf16,
// gates are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// g = sigmoid(gate[dim]); y_t = (1-g) x_t + g x_{t-1}, x_{-1} = 0 at the start of every `tokens`
// rows. y and x [rows, dim] stand at row `first` of them all: the one before it lies in front.
template <class T>
void smear(Dest<T> y, const T* x, const float* gate, int64_t rows, int64_t tokens, int64_t dim,
           int64_t first, Stream stream);

// dx_t = (1-g) dy_t + g dy_{t+1}, dy_T = 0; dgate = g (1-g) sum over rows of dy_t (x_{t-1} - x_t).
// partial [count_row_chunks(rows), dim] is working memory (column_sums.h).
template <class T>
void smear_backward(Dest<T> dx, Dest<float> dgate, const T* dy, const T* x, const float* gate,
                    int64_t rows, int64_t tokens, int64_t dim, float* partial, Stream stream);

}  // namespace pg::kernels
