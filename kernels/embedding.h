// Rows of a table by id, and the sums of their gradients; T is float or bf16, sums are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// y[rows, dim] = table[ids[row], :]; ids lie in [0, vocab) of table [vocab, dim].
template <class T>
void embed(Dest<T> y, const int32_t* ids, const T* table, int64_t rows, int64_t dim, Stream stream);

// Elements of the working memory of embed_backward(), int32 and f32.
int64_t count_scatter_ids(int64_t rows, int64_t vocab);
int64_t count_scatter_sums(int64_t rows, int64_t dim);

// dtable[vocab, dim], f32 or T: row v = sum over rows with ids[row] == v of dy[row, :], in row
// order, in an order of additions that depends on how many they are alone. Fewer than 2^31 rows.
template <class Table, class T>
void embed_backward(Dest<Table> dtable, const int32_t* ids, const T* dy, int64_t rows,
                    int64_t vocab, int64_t dim, int32_t* id_work, float* sum_work, Stream stream);

}  // namespace pg::kernels
