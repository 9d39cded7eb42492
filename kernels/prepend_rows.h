// Memory rows in front of every sequence; T is float or bf16, sums are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// `batch` sequences of `memory` rows and then `tokens` rows.
struct PrependedRows {
  int64_t batch = 0, memory = 0, tokens = 0, dim = 0;
};

// Of each sequence y[0:M] = m and y[M:M+T] = x, its T rows of x; m [M, dim], null counts as 0;
// x [B*T, dim]. y is the rows first, ..., first + rows - 1 of [B*(M+T), dim].
template <class T>
void prepend_rows(Dest<T> y, const T* m, const T* x, const PrependedRows& shape, int64_t first,
                  int64_t rows, Stream stream);

// Of each sequence dx = dy[M:M+T]; dm = sum over sequences of dy[0:M], in order.
template <class T>
void prepend_rows_backward(Dest<T> dx, Dest<T> dm, const T* dy, const PrependedRows& shape,
                           Stream stream);

}  // namespace pg::kernels
