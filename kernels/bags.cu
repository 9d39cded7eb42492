// One pass: a thread holds its pack of a bag's sum, or of the mean's gradient, in registers.
#include "kernels/bags.h"

#include "kernels/dialect.h"
#include "kernels/row_tiles.h"

namespace pg::kernels {
inline namespace bags_kernels {

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    mean_bags_kernel(Dest<T> y, const T* __restrict__ x, int64_t rows, int64_t bag, int dim,
                     int column_bits) {
  constexpr int kPack = kPackOf<T>;
  const TilePlace place = place_in_tile<kPack>(column_bits);
  if (place.run >= rows || place.column >= dim) return;
  float mean[kPack] = {};
  const T* const first = x + place.run * bag * dim;
  add_rows<T, kVector>(mean, bag, place.column, dim, [&](int64_t i) { return first + i * dim; });
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) mean[i] /= static_cast<float>(bag);
  store_pack<kVector>(y.data + place.run * dim, mean, place.column, dim, y.accumulate);
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    mean_bags_backward_kernel(Dest<T> dx, const T* __restrict__ dy, int64_t rows, int64_t bag,
                              int dim, int column_bits) {
  constexpr int kPack = kPackOf<T>;
  const TilePlace place = place_in_tile<kPack>(column_bits);
  if (place.run >= rows || place.column >= dim) return;
  float share[kPack];
  unpack(load_pack<kPack, kVector>(dy + place.run * dim, place.column, dim), share);
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) share[i] /= static_cast<float>(bag);
  for (int64_t row = place.run * bag; row < (place.run + 1) * bag; ++row) {
    store_pack<kVector>(dx.data + row * dim, share, place.column, dim, dx.accumulate);
  }
}

}  // namespace bags_kernels

template <class T>
void mean_bags(Dest<T> y, const T* x, int64_t rows, int64_t bag, int64_t dim, Stream stream) {
  if (rows == 0 || y.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(x, dim) && has_vector_rows<kPack>(y.data, dim);
  with_vector(vector, [&]<bool kVector>() {
    launch_over_runs<kPack>(&mean_bags_kernel<T, kVector>, rows, dim, stream, y, x, rows, bag, dim);
  });
}

template <class T>
void mean_bags_backward(Dest<T> dx, const T* dy, int64_t rows, int64_t bag, int64_t dim,
                        Stream stream) {
  if (rows == 0 || dx.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(dy, dim) && has_vector_rows<kPack>(dx.data, dim);
  with_vector(vector, [&]<bool kVector>() {
    launch_over_runs<kPack>(&mean_bags_backward_kernel<T, kVector>, rows, dim, stream, dx, dy, rows,
                            bag, dim);
  });
}

template void mean_bags<float>(Dest<float>, const float*, int64_t, int64_t, int64_t, Stream);
template void mean_bags<bf16>(Dest<bf16>, const bf16*, int64_t, int64_t, int64_t, Stream);
template void mean_bags_backward<float>(Dest<float>, const float*, int64_t, int64_t, int64_t,
                                        Stream);
template void mean_bags_backward<bf16>(Dest<bf16>, const bf16*, int64_t, int64_t, int64_t, Stream);

}  // namespace pg::kernels
