// Bound by memory: a row is read once and kept in registers between the reduction and the output. A
// warp per row where that fits (up to 1024 bf16 or 512 f32 elements), else a block per row, which
// reads again what does not fit.
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/rmsnorm.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
namespace {

constexpr int kKeptPacks = 4;  // per thread and tensor: 16 registers

template <class T, int kCount>
__device__ __forceinline__ float sum_products(const Pack<T, kCount>& a, const Pack<T, kCount>& b) {
  float sum = 0.0f;
  PG_UNROLL
  for (int i = 0; i < kCount; ++i) sum += static_cast<float>(a.v[i]) * static_cast<float>(b.v[i]);
  return sum;
}

template <class T, int kRowThreads>
__global__ void __launch_bounds__(kBlockThreads)
    rmsnorm_kernel(Dest<T> y, Dest<float> rstd, const T* __restrict__ x, float scale, float eps,
                   int64_t rows, int dim) {
  __shared__ float partial[kBlockWarps];
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const int first = thread_in_row<kRowThreads>() * kPack;
  const T* x_row = x + row * dim;
  const bool x_aligned = is_aligned_16(x_row);

  Pack<T, kPack> kept[kKeptPacks];
  float sum = 0.0f;
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    if (first + k * kStep >= dim) break;
    kept[k] = load_pack<kPack>(x_row, first + k * kStep, dim, x_aligned);
    sum += sum_products(kept[k], kept[k]);
  }
  for (int i = first + kKeptPacks * kStep; i < dim; i += kStep) {
    const Pack<T, kPack> again = load_pack<kPack>(x_row, i, dim, x_aligned);
    sum += sum_products(again, again);
  }
  sum = row_sum<kRowThreads>(sum, partial);
  const float r = rsqrtf(sum / static_cast<float>(dim) + eps);
  if (first == 0) store_value(rstd, row, r);
  if (y.data == nullptr) return;

  T* y_row = y.data + row * dim;
  const bool y_aligned = is_aligned_16(y_row);
  const auto store_scaled = [&](const Pack<T, kPack>& pack, int i) {
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) out[j] = scale * r * static_cast<float>(pack.v[j]);
    store_pack(y_row, out, i, dim, y_aligned, y.accumulate);
  };
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    if (first + k * kStep >= dim) break;
    store_scaled(kept[k], first + k * kStep);
  }
  for (int i = first + kKeptPacks * kStep; i < dim; i += kStep) {
    store_scaled(load_pack<kPack>(x_row, i, dim, x_aligned), i);
  }
}

template <class T, int kRowThreads>
__global__ void __launch_bounds__(kBlockThreads)
    rmsnorm_backward_kernel(Dest<T> dx, const T* __restrict__ dy, const T* __restrict__ x,
                            const float* __restrict__ rstd, float scale, int64_t rows, int dim) {
  __shared__ float partial[kBlockWarps];
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const int first = thread_in_row<kRowThreads>() * kPack;
  const T* x_row = x + row * dim;
  const T* dy_row = dy + row * dim;
  const bool aligned = is_aligned_16(x_row) && is_aligned_16(dy_row);

  Pack<T, kPack> kept_x[kKeptPacks], kept_dy[kKeptPacks];
  float sum = 0.0f;
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    const int i = first + k * kStep;
    if (i >= dim) break;
    kept_x[k] = load_pack<kPack>(x_row, i, dim, aligned);
    kept_dy[k] = load_pack<kPack>(dy_row, i, dim, aligned);
    sum += sum_products(kept_dy[k], kept_x[k]);
  }
  for (int i = first + kKeptPacks * kStep; i < dim; i += kStep) {
    sum += sum_products(load_pack<kPack>(dy_row, i, dim, aligned),
                        load_pack<kPack>(x_row, i, dim, aligned));
  }
  sum = row_sum<kRowThreads>(sum, partial);
  const float r = rstd[row];
  const float projection = r * r * (sum / static_cast<float>(dim));

  T* dx_row = dx.data + row * dim;
  const bool dx_aligned = is_aligned_16(dx_row);
  const auto store_gradient = [&](const Pack<T, kPack>& dy_pack, const Pack<T, kPack>& x_pack,
                                  int i) {
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) {
      out[j] = scale * r *
               (static_cast<float>(dy_pack.v[j]) - static_cast<float>(x_pack.v[j]) * projection);
    }
    store_pack(dx_row, out, i, dim, dx_aligned, dx.accumulate);
  };
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) {
    if (first + k * kStep >= dim) break;
    store_gradient(kept_dy[k], kept_x[k], first + k * kStep);
  }
  for (int i = first + kKeptPacks * kStep; i < dim; i += kStep) {
    store_gradient(load_pack<kPack>(dy_row, i, dim, aligned),
                   load_pack<kPack>(x_row, i, dim, aligned), i);
  }
}

template <class T>
bool fits_warp(int64_t dim) {
  return dim <= kWarpThreads * kKeptPacks * kPackOf<T>;
}

}  // namespace

template <class T>
void rmsnorm(Dest<T> y, Dest<float> rstd, const T* x, float scale, float eps, int64_t rows,
             int64_t dim, Stream stream) {
  if (rows == 0) return;
  const int columns = static_cast<int>(dim);
  if (fits_warp<T>(dim)) {
    launch(&rmsnorm_kernel<T, kWarpThreads>, grid_of_rows<kWarpThreads>(rows), dim3(kBlockThreads),
           0, stream, y, rstd, x, scale, eps, rows, columns);
  } else {
    launch(&rmsnorm_kernel<T, kBlockThreads>, grid_of_rows<kBlockThreads>(rows),
           dim3(kBlockThreads), 0, stream, y, rstd, x, scale, eps, rows, columns);
  }
}

template <class T>
void rmsnorm_backward(Dest<T> dx, const T* dy, const T* x, const float* rstd, float scale,
                      int64_t rows, int64_t dim, Stream stream) {
  if (rows == 0 || dx.data == nullptr) return;
  const int columns = static_cast<int>(dim);
  if (fits_warp<T>(dim)) {
    launch(&rmsnorm_backward_kernel<T, kWarpThreads>, grid_of_rows<kWarpThreads>(rows),
           dim3(kBlockThreads), 0, stream, dx, dy, x, rstd, scale, rows, columns);
  } else {
    launch(&rmsnorm_backward_kernel<T, kBlockThreads>, grid_of_rows<kBlockThreads>(rows),
           dim3(kBlockThreads), 0, stream, dx, dy, x, rstd, scale, rows, columns);
  }
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
