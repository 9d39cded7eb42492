// The last step of a product that is added to something: a library would round the product first.
#pragma once
#include <cstdint>

#include "kernels/row_views.h"

namespace pg::kernels {

// y[rows, cols] = product + addend, rounded once; product f32 [rows, cols], an absent addend counts
// as 0. T is float or bf16.
template <class T>
void add_product(RowsOut<T> y, const float* product, RowsIn<T> addend, int64_t rows, int64_t cols,
                 Stream stream);

}  // namespace pg::kernels
