// Bound by memory, one launch for a batch, 16-byte accesses. Every block adds up the few sums of its
// matrix's squares anew, which spares a launch.
#include "kernels/newton_schulz.h"

#include "kernels/dialect.h"
#include "kernels/matrix_packs.h"
#include "kernels/reduce.h"

namespace pg::kernels {
inline namespace newton_schulz_kernels {

constexpr int kPack = 8;   // 16 bytes of bf16
constexpr int kPacks = 2;  // that a thread has under way
constexpr double kMinMatrixNorm = 1e-7;
constexpr float kMinRowSum = 1e-14f;

// 1 / (|u|_F + 1e-7), in every thread. Each warp sums alike.
__device__ __forceinline__ float inverse_norm(const double* squares, int64_t pieces) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x % kWarpThreads; i < pieces; i += kWarpThreads) sum += squares[i];
  return static_cast<float>(1.0 / (sqrt(warp_sum(sum)) + kMinMatrixNorm));
}

template <class T, bool kVector, bool kScaled>
__global__ void __launch_bounds__(kBlockThreads)
    start_newton_schulz_kernel(T* __restrict__ x, int64_t x_stride, const float* __restrict__ u,
                               const double* __restrict__ squares, int64_t pieces,
                               const float* __restrict__ scales, PackGrid grid, Matrices shape) {
  const int64_t matrix = matrix_of_block(grid);
  Pack<float, kPack> values[kPacks];
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    values[k] = load_part<kPack, kVector>(u + matrix * shape.stride + at,
                                          elements_of_pack<kPack>(at, grid.size));
  }
  const float factor = inverse_norm(squares + matrix * pieces, pieces);
  const bool is_tall = shape.rows > shape.cols;
  const int cols = static_cast<int>(shape.cols);
  const float* of_matrix =
      kScaled ? scales + matrix * (is_tall ? shape.cols : shape.rows) : nullptr;
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    const int count = elements_of_pack<kPack>(at, grid.size);
    int64_t row = kScaled ? at / cols : 0;
    int column = kScaled ? static_cast<int>(at - row * cols) : 0;
    float out[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      out[i] = factor * values[k].v[i];
      if (!kScaled || i >= count) continue;
      out[i] *= of_matrix[is_tall ? column : row];
      if (++column == cols) {
        column = 0;
        ++row;
      }
    }
    store_part<true>(x + matrix * x_stride + at, out, count, false);
  }
}

__global__ void __launch_bounds__(kBlockThreads)
    sum_almost_orthogonal_kernel(float* __restrict__ scales, const float* __restrict__ gram,
                                 int64_t rows, int side) {
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= rows) return;
  const int lane = thread_in_row<kWarpThreads>();
  const float* from = gram + row * side;
  constexpr int kAhead = 4;
  float sum = 0.0f;
  for (int start = lane; start < side; start += kAhead * kWarpThreads) {
    float values[kAhead];
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      const int i = start + k * kWarpThreads;
      values[k] = i < side ? from[i] : 0.0f;
    }
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) sum += fabsf(values[k]);
  }
  sum = warp_sum(sum);
  if (lane == 0) scales[row] = 1.0f / sqrtf(fmaxf(sum, kMinRowSum));
}

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    scale_gram_kernel(T* __restrict__ a, int64_t a_stride, const float* __restrict__ gram,
                      const float* __restrict__ scales, int64_t rows, int side) {
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= rows) return;
  const int64_t matrix = row / side, begin = matrix * side;
  const float of_row = scales[row];
  T* const to = a + matrix * a_stride + (row - begin) * side;
  for (int i = thread_in_row<kWarpThreads>(); i < side; i += kWarpThreads) {
    to[i] = round_to<T>(of_row * scales[begin + i] * gram[row * side + i]);
  }
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    end_newton_schulz_kernel(float* __restrict__ u, const T* __restrict__ x, int64_t x_stride,
                             PackGrid grid, int64_t stride) {
  const int64_t matrix = matrix_of_block(grid);
  Pack<T, kPack> values[kPacks];
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    values[k] =
        load_part<kPack, true>(x + matrix * x_stride + at, elements_of_pack<kPack>(at, grid.size));
  }
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    float out[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) out[i] = static_cast<float>(values[k].v[i]);
    store_part<kVector>(u + matrix * stride + at, out, elements_of_pack<kPack>(at, grid.size),
                        false);
  }
}

}  // namespace newton_schulz_kernels

template <class T>
void start_newton_schulz(T* x, int64_t x_stride, const float* u, const double* squares,
                         const float* scales, const Matrices& shape, Stream stream) {
  const bool vector = has_vector_starts(u, shape.count, shape.stride);
  const PackGrid grid = make_pack_grid<kPack, kPacks>(shape.size());
  const auto start = [&](auto kernel) {
    launch(kernel, grid_of(grid, shape.count), dim3(kBlockThreads), 0, stream, x, x_stride, u,
           squares, count_summed_pieces(shape.size()), scales, grid, shape);
  };
  if (scales != nullptr) {
    start(vector ? &start_newton_schulz_kernel<T, true, true>
                 : &start_newton_schulz_kernel<T, false, true>);
  } else {
    start(vector ? &start_newton_schulz_kernel<T, true, false>
                 : &start_newton_schulz_kernel<T, false, false>);
  }
}

void sum_almost_orthogonal(float* scales, const float* gram, int64_t count, int64_t side,
                           Stream stream) {
  launch(&sum_almost_orthogonal_kernel, grid_of_rows<kWarpThreads>(count * side),
         dim3(kBlockThreads), 0, stream, scales, gram, count * side, static_cast<int>(side));
}

template <class T>
void scale_gram(T* a, int64_t a_stride, const float* gram, const float* scales, int64_t count,
                int64_t side, Stream stream) {
  launch(&scale_gram_kernel<T>, grid_of_rows<kWarpThreads>(count * side), dim3(kBlockThreads), 0,
         stream, a, a_stride, gram, scales, count * side, static_cast<int>(side));
}

template <class T>
void end_newton_schulz(float* u, const T* x, int64_t x_stride, const Matrices& shape,
                       Stream stream) {
  const bool vector = has_vector_starts(u, shape.count, shape.stride);
  const PackGrid grid = make_pack_grid<kPack, kPacks>(shape.size());
  launch(vector ? &end_newton_schulz_kernel<T, true> : &end_newton_schulz_kernel<T, false>,
         grid_of(grid, shape.count), dim3(kBlockThreads), 0, stream, u, x, x_stride, grid,
         shape.stride);
}

template void start_newton_schulz<float>(float*, int64_t, const float*, const double*, const float*,
                                         const Matrices&, Stream);
template void start_newton_schulz<bf16>(bf16*, int64_t, const float*, const double*, const float*,
                                        const Matrices&, Stream);
template void scale_gram<float>(float*, int64_t, const float*, const float*, int64_t, int64_t,
                                Stream);
template void scale_gram<bf16>(bf16*, int64_t, const float*, const float*, int64_t, int64_t,
                               Stream);
template void end_newton_schulz<float>(float*, const float*, int64_t, const Matrices&, Stream);
template void end_newton_schulz<bf16>(float*, const bf16*, int64_t, const Matrices&, Stream);

}  // namespace pg::kernels
