// Bound by memory: a row is read once and kept in registers between the reduction and the output,
// and all its loads are under way before the first is used. A warp per row where that fits (up to
// 1024 bf16 or 512 f32 elements), else a block per row, which reads again what does not fit.
#include "kernels/rmsnorm.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace rmsnorm_kernels {

constexpr int kKeptPacks = 4;  // per thread and tensor: 16 registers

template <class T, int kCount>
__device__ __forceinline__ float sum_products(const Pack<T, kCount>& a, const Pack<T, kCount>& b) {
  float sum = 0.0f;
  PG_UNROLL
  for (int i = 0; i < kCount; ++i) sum += static_cast<float>(a.v[i]) * static_cast<float>(b.v[i]);
  return sum;
}

template <class T, int kRowThreads, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    rmsnorm_kernel(Dest<T> y, Dest<float> rstd, const T* __restrict__ x, float scale, float eps,
                   int64_t rows, int dim, float inverse_dim) {
  __shared__ float partial[kBlockWarps];
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack, kKept = kKeptPacks * kStep;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const int first = thread_in_row<kRowThreads>() * kPack;
  const T* x_row = x + row * dim;

  Pack<T, kPack> kept[kKeptPacks];
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    kept[k] = load_pack<kPack, kVector>(x_row, first + k * kStep, dim);
  }
  float sum = 0.0f;
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) sum += sum_products(kept[k], kept[k]);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < dim; i += kStep) {
      const Pack<T, kPack> pack = load_pack<kPack, kVector>(x_row, i, dim);
      sum += sum_products(pack, pack);
    }
  }
  sum = row_sum<kRowThreads>(sum, partial);
  const float r = rsqrtf(sum * inverse_dim + eps);
  if (first == 0) store_value(rstd, row, r);
  if (y.data == nullptr) return;

  T* y_row = y.data + row * dim;
  const auto store_scaled = [&](const Pack<T, kPack>& pack, int i) {
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) out[j] = scale * r * static_cast<float>(pack.v[j]);
    store_pack<kVector>(y_row, out, i, dim, y.accumulate);
  };
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) store_scaled(kept[k], first + k * kStep);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < dim; i += kStep) {
      store_scaled(load_pack<kPack, kVector>(x_row, i, dim), i);
    }
  }
}

template <class T, int kRowThreads, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    rmsnorm_backward_kernel(Dest<T> dx, const T* __restrict__ dy, const T* __restrict__ x,
                            const float* __restrict__ rstd, float scale, int64_t rows, int dim,
                            float inverse_dim) {
  __shared__ float partial[kBlockWarps];
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack, kKept = kKeptPacks * kStep;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const int first = thread_in_row<kRowThreads>() * kPack;
  const T* x_row = x + row * dim;
  const T* dy_row = dy + row * dim;
  const float r = rstd[row];

  Pack<T, kPack> kept_x[kKeptPacks], kept_dy[kKeptPacks];
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    kept_x[k] = load_pack<kPack, kVector>(x_row, first + k * kStep, dim);
    kept_dy[k] = load_pack<kPack, kVector>(dy_row, first + k * kStep, dim);
  }
  float sum = 0.0f;
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) sum += sum_products(kept_dy[k], kept_x[k]);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < dim; i += kStep) {
      sum += sum_products(load_pack<kPack, kVector>(dy_row, i, dim),
                          load_pack<kPack, kVector>(x_row, i, dim));
    }
  }
  sum = row_sum<kRowThreads>(sum, partial);
  const float projection = r * r * (sum * inverse_dim);

  T* dx_row = dx.data + row * dim;
  const auto store_gradient = [&](const Pack<T, kPack>& dy_pack, const Pack<T, kPack>& x_pack,
                                  int i) {
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) {
      out[j] = scale * r *
               (static_cast<float>(dy_pack.v[j]) - static_cast<float>(x_pack.v[j]) * projection);
    }
    store_pack<kVector>(dx_row, out, i, dim, dx.accumulate);
  };
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) store_gradient(kept_dy[k], kept_x[k], first + k * kStep);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < dim; i += kStep) {
      store_gradient(load_pack<kPack, kVector>(dy_row, i, dim),
                     load_pack<kPack, kVector>(x_row, i, dim), i);
    }
  }
}

template <class T>
bool fits_warp(int64_t dim) {
  return dim <= kWarpThreads * kKeptPacks * kPackOf<T>;
}

}  // namespace rmsnorm_kernels

template <class T>
void rmsnorm(Dest<T> y, Dest<float> rstd, const T* x, float scale, float eps, int64_t rows,
             int64_t dim, Stream stream) {
  if (rows == 0) return;
  const bool vector =
      has_vector_rows<kPackOf<T>>(x, dim) && has_vector_rows<kPackOf<T>>(y.data, dim);
  with_row_variant(fits_warp<T>(dim), vector, [&]<int kRowThreads, bool kVector>() {
    launch(&rmsnorm_kernel<T, kRowThreads, kVector>, grid_of_rows<kRowThreads>(rows),
           dim3(kBlockThreads), 0, stream, y, rstd, x, scale, eps, rows, static_cast<int>(dim),
           1.0f / static_cast<float>(dim));
  });
}

template <class T>
void rmsnorm_backward(Dest<T> dx, const T* dy, const T* x, const float* rstd, float scale,
                      int64_t rows, int64_t dim, Stream stream) {
  if (rows == 0 || dx.data == nullptr) return;
  const bool vector = has_vector_rows<kPackOf<T>>(dy, dim) && has_vector_rows<kPackOf<T>>(x, dim) &&
                      has_vector_rows<kPackOf<T>>(dx.data, dim);
  with_row_variant(fits_warp<T>(dim), vector, [&]<int kRowThreads, bool kVector>() {
    launch(&rmsnorm_backward_kernel<T, kRowThreads, kVector>, grid_of_rows<kRowThreads>(rows),
           dim3(kBlockThreads), 0, stream, dx, dy, x, rstd, scale, rows, static_cast<int>(dim),
           1.0f / static_cast<float>(dim));
  });
}

template void rmsnorm<float>(Dest<float>, Dest<float>, const float*, float, float, int64_t, int64_t,
                             Stream);
template void rmsnorm<bf16>(Dest<bf16>, Dest<float>, const bf16*, float, float, int64_t, int64_t,
                            Stream);
template void rmsnorm_backward<float>(Dest<float>, const float*, const float*, const float*, float,
                                      int64_t, int64_t, Stream);
template void rmsnorm_backward<bf16>(Dest<bf16>, const bf16*, const bf16*, const float*, float,
                                     int64_t, int64_t, Stream);

}  // namespace pg::kernels
