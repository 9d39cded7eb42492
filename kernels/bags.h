// Means of bags of rows (token superposition, arXiv:2605.06546); T is float or bf16, sums are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// y[rows, dim] = the sum of x's rows bag r, ..., bag r + bag - 1, in order, divided by bag.
template <class T>
void mean_bags(Dest<T> y, const T* x, int64_t rows, int64_t bag, int64_t dim, Stream stream);

// dx[bag r + i, :] = dy[r, :] / bag; dx [rows * bag, dim].
template <class T>
void mean_bags_backward(Dest<T> dx, const T* dy, int64_t rows, int64_t bag, int64_t dim,
                        Stream stream);

}  // namespace pg::kernels
