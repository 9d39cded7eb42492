// Bound by memory: one pass; a warp per short row, else a block.
#include "kernels/scale_rows.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace scale_rows_kernels {

constexpr int kAhead = 4;               // packs that a thread loads before it uses the first
constexpr int64_t kMaxWarpCols = 1024;  // beyond, 256 threads have work in a row

struct MatrixRow {
  int64_t at;     // of its first element
  int64_t scale;  // of its scale

  __device__ MatrixRow(const ScaledMatrices& shape, int64_t row) {
    const int64_t matrix = row / shape.rows, in_matrix = row % shape.rows;
    at = matrix * shape.stride + in_matrix * shape.cols;
    scale = matrix * shape.s_stride + in_matrix;
  }
};

template <class T, int kRowThreads, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    scale_rows_kernel(Dest<T> y, const float* __restrict__ x, const float* __restrict__ s,
                      ScaledMatrices shape) {
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= shape.count * shape.rows) return;
  const MatrixRow place(shape, row);
  const int cols = static_cast<int>(shape.cols);
  const float scale = s[place.scale];
  for (int first = thread_in_row<kRowThreads>() * kPack; first < cols; first += kAhead * kStep) {
    Pack<float, kPack> packs[kAhead];
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      packs[k] = load_pack<kPack, kVector>(x + place.at, first + k * kStep, cols);
    }
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      float values[kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) values[i] = scale * packs[k].v[i];
      store_pack<kVector>(y.data + place.at, values, first + k * kStep, cols, y.accumulate);
    }
  }
}

// A thread stores what it alone has loaded.
template <int kRowThreads, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    scale_rows_backward_kernel(float* dx, float* __restrict__ ds, const float* __restrict__ x,
                               const float* __restrict__ s, ScaledMatrices shape) {
  __shared__ float partial[kBlockWarps];
  constexpr int kPack = kPackOf<float>, kStep = kRowThreads * kPack;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= shape.count * shape.rows) return;
  const MatrixRow place(shape, row);
  const int cols = static_cast<int>(shape.cols);
  const float scale = s[place.scale];
  const float* const dy_row = dx + place.at;
  float sum = 0.0f;
  for (int first = thread_in_row<kRowThreads>() * kPack; first < cols; first += kAhead * kStep) {
    Pack<float, kPack> dy_packs[kAhead], x_packs[kAhead];
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      dy_packs[k] = load_pack<kPack, kVector>(dy_row, first + k * kStep, cols);
      if (ds != nullptr) {
        x_packs[k] = load_pack<kPack, kVector>(x + place.at, first + k * kStep, cols);
      }
    }
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      float values[kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        if (ds != nullptr) sum = fmaf(dy_packs[k].v[i], x_packs[k].v[i], sum);
        values[i] = scale * dy_packs[k].v[i];
      }
      store_pack<kVector>(dx + place.at, values, first + k * kStep, cols, false);
    }
  }
  if (ds == nullptr) return;
  sum = row_sum<kRowThreads>(sum, partial);
  if (thread_in_row<kRowThreads>() == 0) ds[place.scale] = sum;
}

// Whether rows lie at multiples of kCount elements from an aligned start.
template <int kCount, class T>
bool has_vector_matrices(const T* first, const ScaledMatrices& shape) {
  return has_vector_rows<kCount>(first, shape.cols) && shape.stride % kCount == 0;
}

}  // namespace scale_rows_kernels

template <class T>
void scale_rows(Dest<T> y, const float* x, const float* s, const ScaledMatrices& shape,
                Stream stream) {
  const int64_t rows = shape.count * shape.rows;
  if (rows == 0 || y.data == nullptr) return;
  const bool vector =
      has_vector_matrices<kPackOf<T>>(x, shape) && has_vector_matrices<kPackOf<T>>(y.data, shape);
  with_row_variant(shape.cols <= kMaxWarpCols, vector, [&]<int kRowThreads, bool kVector>() {
    launch(&scale_rows_kernel<T, kRowThreads, kVector>, grid_of_rows<kRowThreads>(rows),
           dim3(kBlockThreads), 0, stream, y, x, s, shape);
  });
}

void scale_rows_backward(float* dx, float* ds, const float* x, const float* s,
                         const ScaledMatrices& shape, Stream stream) {
  const int64_t rows = shape.count * shape.rows;
  if (rows == 0) return;
  const bool vector = has_vector_matrices<kPackOf<float>>(x, shape) &&
                      has_vector_matrices<kPackOf<float>>(dx, shape);
  with_row_variant(shape.cols <= kMaxWarpCols, vector, [&]<int kRowThreads, bool kVector>() {
    launch(&scale_rows_backward_kernel<kRowThreads, kVector>, grid_of_rows<kRowThreads>(rows),
           dim3(kBlockThreads), 0, stream, dx, ds, x, s, shape);
  });
}

template void scale_rows<float>(Dest<float>, const float*, const float*, const ScaledMatrices&,
                                Stream);
template void scale_rows<bf16>(Dest<bf16>, const float*, const float*, const ScaledMatrices&,
                               Stream);

}  // namespace pg::kernels
