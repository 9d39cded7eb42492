// Kernels that treat every pack of a row alike: the threads of a block lie as a tile over the matrix,
// the fewest that hold a row side by side, a pack each. Threads go down the rows in runs, so that a row
// that its neighbour needs too is read once, and several loads are under way.
#pragma once
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {

inline constexpr int kBlockThreadBits = 8;
static_assert(1 << kBlockThreadBits == kBlockThreads);

// log2 of the threads side by side that hold a row of `dim` in packs of `pack`; rows that are wider
// than a block take several along grid.y.
inline int count_column_bits(int64_t dim, int pack) {
  int bits = 0;
  while ((int64_t{pack} << bits) < dim && (1 << bits) < kBlockThreads) ++bits;
  return bits;
}

inline dim3 grid_of_runs(int64_t runs, int64_t dim, int pack, int column_bits) {
  const int64_t runs_per_block = kBlockThreads >> column_bits;
  const int64_t columns_per_block = int64_t{pack} << column_bits;
  return dim3(static_cast<unsigned>((runs + runs_per_block - 1) / runs_per_block),
              static_cast<unsigned>((dim + columns_per_block - 1) / columns_per_block));
}

// Where a thread stands: its run of rows, and the first column of its pack, either of which may lie
// past the last.
struct TilePlace {
  int64_t run;
  int column;
};

template <int kPack>
__device__ __forceinline__ TilePlace place_in_tile(int column_bits) {
  const int thread = static_cast<int>(threadIdx.x);
  const int beside = thread & ((1 << column_bits) - 1);
  const int64_t runs_before = int64_t{blockIdx.x} << (kBlockThreadBits - column_bits);
  const int columns_before = static_cast<int>(blockIdx.y) << column_bits;
  return {runs_before + (thread >> column_bits), (columns_before + beside) * kPack};
}

// Calls body.operator()<kVector>().
template <class Body>
void with_vector(bool vector, const Body& body) {
  if (vector) return body.template operator()<true>();
  return body.template operator()<false>();
}

// Launches kernel(args..., column_bits) over `runs` of rows that are `dim` wide.
template <int kPack, class... Params, class... Args>
void launch_over_runs(void (*kernel)(Params...), int64_t runs, int64_t dim, Stream stream,
                      Args... args) {
  const int bits = count_column_bits(dim, kPack);
  launch(kernel, grid_of_runs(runs, dim, kPack, bits), dim3(kBlockThreads), 0, stream, args...,
         bits);
}

template <class T, int kPack>
__device__ __forceinline__ void unpack(const Pack<T, kPack>& pack, float (&values)[kPack]) {
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) values[i] = static_cast<float>(pack.v[i]);
}

// to[rows, dim] at this thread's pack of the rows first, ..., first + kRows - 1, as many as there
// are: row r is from_row(r), or zeros where that is null.
template <int kRows, bool kVector, class T, class FromRow>
__device__ __forceinline__ void copy_rows(Dest<T> to, int64_t first, int64_t rows, int column,
                                          int dim, const FromRow& from_row) {
  constexpr int kPack = kPackOf<T>;
  Pack<T, kPack> packs[kRows];
  PG_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const T* const from = first + i < rows ? from_row(first + i) : nullptr;
    packs[i] = from == nullptr ? Pack<T, kPack>{} : load_pack<kPack, kVector>(from, column, dim);
  }
  PG_UNROLL
  for (int i = 0; i < kRows; ++i) {
    if (first + i >= rows) break;
    float values[kPack];
    unpack(packs[i], values);
    store_pack<kVector>(to.data + (first + i) * dim, values, column, dim, to.accumulate);
  }
}

// sum += rows row_at(first), ..., row_at(count - 1) at this thread's pack, in order: kRows at a time,
// then half as many, ..., so that their loads are under way together and none is for nothing.
template <int kRows, class T, bool kVector, int kPack, class RowAt>
__device__ __forceinline__ void add_rows_by(float (&sum)[kPack], int64_t first, int64_t count,
                                            int column, int dim, const RowAt& row_at) {
  for (; first + kRows <= count; first += kRows) {
    Pack<T, kPack> packs[kRows];
    PG_UNROLL
    for (int i = 0; i < kRows; ++i) {
      packs[i] = load_pack<kPack, kVector>(row_at(first + i), column, dim);
    }
    PG_UNROLL
    for (int i = 0; i < kRows; ++i) {
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) sum[j] += static_cast<float>(packs[i].v[j]);
    }
  }
  if constexpr (kRows > 1) {
    add_rows_by<kRows / 2, T, kVector>(sum, first, count, column, dim, row_at);
  }
}

// sum += rows row_at(0), ..., row_at(count - 1), 128 bytes a thread at a time.
template <class T, bool kVector, int kPack, class RowAt>
__device__ __forceinline__ void add_rows(float (&sum)[kPack], int64_t count, int column, int dim,
                                         const RowAt& row_at) {
  constexpr int kRows = 128 / (kPack * static_cast<int>(sizeof(T)));
  add_rows_by<kRows, T, kVector>(sum, 0, count, column, dim, row_at);
}

}  // namespace pg::kernels
