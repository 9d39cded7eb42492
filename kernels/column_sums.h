// Sums over the rows of a matrix, in two steps of fixed order: a kernel leaves one row of f32 partial
// sums for each chunk of rows, and sum_chunks() adds the chunks up, in order. The chunks depend on the
// shape alone.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

inline constexpr int64_t kMaxRowChunks = 512;

constexpr int64_t rows_per_chunk(int64_t rows) {
  constexpr int64_t kLeast = 16;  // fewer would write more partial sums than they save time
  const int64_t even = (rows + kMaxRowChunks - 1) / kMaxRowChunks;
  return even < kLeast ? kLeast : even;
}
constexpr int64_t count_row_chunks(int64_t rows) {
  return (rows + rows_per_chunk(rows) - 1) / rows_per_chunk(rows);
}

// out[dim] = scale * sum over chunks of partial[chunks, dim], in order; T is float or bf16. scale [1]
// lies in device memory; null counts as 1.
template <class T>
void sum_chunks(Dest<T> out, const float* partial, const float* scale, int64_t chunks, int64_t dim,
                Stream stream);

}  // namespace pg::kernels
