// Matrices whose rows may lie apart, and the working memory of sums over them. Free of the dialect, so
// that host code can include it.
#pragma once
#include <cstdint>

#include "kernels/column_sums.h"
#include "kernels/kernel_args.h"

namespace pg::kernels {

// A matrix to read; its rows lie `stride` elements apart. Null data stands for an absent operand.
template <class T>
struct RowsIn {
  const T* data = nullptr;
  int64_t stride = 0;
};

// A matrix to write, or to add to with accumulate. Null data is not computed.
template <class T>
struct RowsOut {
  T* data = nullptr;
  int64_t stride = 0;
  bool accumulate = false;
};

// Columns that a warp takes of a row: 16 bytes a thread.
template <class T>
inline constexpr int kTileColumns = 32 * 16 / static_cast<int>(sizeof(T));

template <class T>
constexpr int64_t count_column_tiles(int64_t columns) {
  return (columns + kTileColumns<T> - 1) / kTileColumns<T>;
}

// Elements of `partial` for `sums` sums over the rows, per column.
constexpr int64_t column_partials(int64_t sums, int64_t rows, int64_t dim) {
  return sums * count_row_chunks(rows) * dim;
}

// Elements of `partial`, at most, for `sums` sums over all elements.
template <class T>
constexpr int64_t total_partials(int64_t sums, int64_t dim) {
  return sums * kMaxRowChunks * count_column_tiles<T>(dim);
}

}  // namespace pg::kernels
