// Bound by memory: a thread has 16 bytes of a row, and its loads under way before it stores.
#include "kernels/product_rows.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace product_rows_kernels {

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    add_product_kernel(RowsOut<T> y, const float* __restrict__ product, RowsIn<T> addend,
                       int64_t rows, int cols, int64_t packs_in_row) {
  constexpr int kPack = kPackOf<T>;
  const int64_t pack = int64_t{blockIdx.x} * kBlockThreads + static_cast<int>(threadIdx.x);
  const int64_t row = pack / packs_in_row;
  if (row >= rows) return;
  const int first = static_cast<int>(pack - row * packs_in_row) * kPack;
  const Pack<float, kPack> sums = load_pack<kPack, kVector>(product + row * cols, first, cols);
  Pack<T, kPack> added{};
  if (addend.data != nullptr) {
    added = load_pack<kPack, kVector>(addend.data + row * addend.stride, first, cols);
  }
  float values[kPack];
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) values[i] = sums.v[i] + static_cast<float>(added.v[i]);
  store_pack<kVector>(y.data + row * y.stride, values, first, cols, y.accumulate);
}

}  // namespace product_rows_kernels

template <class T>
void add_product(RowsOut<T> y, const float* product, RowsIn<T> addend, int64_t rows, int64_t cols,
                 Stream stream) {
  if (rows == 0 || cols == 0) return;
  constexpr int kPack = kPackOf<T>;
  const int64_t packs_in_row = (cols + kPack - 1) / kPack;
  const dim3 grid(static_cast<unsigned>((rows * packs_in_row + kBlockThreads - 1) / kBlockThreads));
  const bool vector = has_vector_rows<kPack>(product, cols) &&
                      has_vector_rows<kPack>(y.data, cols) && y.stride % kPack == 0 &&
                      has_vector_rows<kPack>(addend.data, cols) && addend.stride % kPack == 0;
  const auto start = [&]<bool kVector>() {
    launch(&add_product_kernel<T, kVector>, grid, dim3(kBlockThreads), 0, stream, y, product,
           addend, rows, static_cast<int>(cols), packs_in_row);
  };
  vector ? start.template operator()<true>() : start.template operator()<false>();
}

template void add_product<float>(RowsOut<float>, const float*, RowsIn<float>, int64_t, int64_t,
                                 Stream);
template void add_product<bf16>(RowsOut<bf16>, const float*, RowsIn<bf16>, int64_t, int64_t,
                                Stream);

}  // namespace pg::kernels
