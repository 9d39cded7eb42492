// Copies, four rows a thread under way; and of the few memory rows a sum over sequences.
#include "kernels/prepend_rows.h"

#include "kernels/dialect.h"
#include "kernels/row_tiles.h"

namespace pg::kernels {
inline namespace prepend_rows_kernels {

constexpr int kRunRows = 4;

int64_t count_runs(int64_t rows) { return (rows + kRunRows - 1) / kRunRows; }

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    prepend_rows_kernel(Dest<T> y, const T* __restrict__ m, const T* __restrict__ x,
                        PrependedRows shape, int64_t first, int64_t rows, int column_bits) {
  const int dim = static_cast<int>(shape.dim);
  const TilePlace place = place_in_tile<kPackOf<T>>(column_bits);
  if (place.column >= dim) return;
  const int64_t length = shape.memory + shape.tokens;
  copy_rows<kRunRows, kVector>(
      y, place.run * kRunRows, rows, place.column, dim, [&](int64_t row) -> const T* {
        const int64_t sequence = (first + row) / length, at = (first + row) % length;
        if (at >= shape.memory) return x + (sequence * shape.tokens + at - shape.memory) * dim;
        return m == nullptr ? nullptr : m + at * dim;
      });
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    drop_memory_kernel(Dest<T> dx, const T* __restrict__ dy, PrependedRows shape, int column_bits) {
  const int dim = static_cast<int>(shape.dim);
  const TilePlace place = place_in_tile<kPackOf<T>>(column_bits);
  if (place.column >= dim) return;
  copy_rows<kRunRows, kVector>(
      dx, place.run * kRunRows, shape.batch * shape.tokens, place.column, dim,
      [&](int64_t row) { return dy + (row + (row / shape.tokens + 1) * shape.memory) * dim; });
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    sum_memory_kernel(Dest<T> dm, const T* __restrict__ dy, PrependedRows shape, int column_bits) {
  constexpr int kPack = kPackOf<T>;
  const int dim = static_cast<int>(shape.dim);
  const TilePlace place = place_in_tile<kPack>(column_bits);
  if (place.run >= shape.memory || place.column >= dim) return;
  const int64_t length = shape.memory + shape.tokens;
  float sum[kPack] = {};
  add_rows<T, kVector>(sum, shape.batch, place.column, dim, [&](int64_t sequence) {
    return dy + (sequence * length + place.run) * dim;
  });
  store_pack<kVector>(dm.data + place.run * dim, sum, place.column, dim, dm.accumulate);
}

}  // namespace prepend_rows_kernels

template <class T>
void prepend_rows(Dest<T> y, const T* m, const T* x, const PrependedRows& shape, int64_t first,
                  int64_t rows, Stream stream) {
  if (rows == 0 || y.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(m, shape.dim) &&
                      has_vector_rows<kPack>(x, shape.dim) &&
                      has_vector_rows<kPack>(y.data, shape.dim);
  with_vector(vector, [&]<bool kVector>() {
    launch_over_runs<kPack>(&prepend_rows_kernel<T, kVector>, count_runs(rows), shape.dim, stream,
                            y, m, x, shape, first, rows);
  });
}

template <class T>
void prepend_rows_backward(Dest<T> dx, Dest<T> dm, const T* dy, const PrependedRows& shape,
                           Stream stream) {
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(dy, shape.dim);
  const int64_t rows = shape.batch * shape.tokens;
  if (dx.data != nullptr && rows > 0) {
    with_vector(vector && has_vector_rows<kPack>(dx.data, shape.dim), [&]<bool kVector>() {
      launch_over_runs<kPack>(&drop_memory_kernel<T, kVector>, count_runs(rows), shape.dim, stream,
                              dx, dy, shape);
    });
  }
  if (dm.data != nullptr && shape.memory > 0) {
    with_vector(vector && has_vector_rows<kPack>(dm.data, shape.dim), [&]<bool kVector>() {
      launch_over_runs<kPack>(&sum_memory_kernel<T, kVector>, shape.memory, shape.dim, stream, dm,
                              dy, shape);
    });
  }
}

template void prepend_rows<float>(Dest<float>, const float*, const float*, const PrependedRows&,
                                  int64_t, int64_t, Stream);
template void prepend_rows<bf16>(Dest<bf16>, const bf16*, const bf16*, const PrependedRows&,
                                 int64_t, int64_t, Stream);
template void prepend_rows_backward<float>(Dest<float>, Dest<float>, const float*,
                                           const PrependedRows&, Stream);
template void prepend_rows_backward<bf16>(Dest<bf16>, Dest<bf16>, const bf16*, const PrependedRows&,
                                          Stream);

}  // namespace pg::kernels
