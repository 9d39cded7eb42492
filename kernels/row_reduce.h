// Rows and the threads that share one: a warp for short rows, so that reductions need shuffles
// only, or a whole block for long ones. Reductions have a fixed order and leave the same bits in
// every thread of the row.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

inline constexpr int kWarpThreads = 32;
inline constexpr int kBlockThreads = 256;  // eight blocks fill an SM of sm_80 or sm_90
inline constexpr int kBlockWarps = kBlockThreads / kWarpThreads;
inline constexpr unsigned kWholeWarp = 0xffffffffu;

// Row of this thread when kRowThreads threads share one; whole warps or blocks may lie past the
// last row.
template <int kRowThreads>
__device__ __forceinline__ int64_t row_of_thread() {
  constexpr int kRowsPerBlock = kBlockThreads / kRowThreads;
  return int64_t{blockIdx.x} * kRowsPerBlock + static_cast<int>(threadIdx.x) / kRowThreads;
}

// This thread's place among those of its row.
template <int kRowThreads>
__device__ __forceinline__ int thread_in_row() {
  return static_cast<int>(threadIdx.x) % kRowThreads;
}

template <int kRowThreads>
dim3 grid_of_rows(int64_t rows) {
  constexpr int kRowsPerBlock = kBlockThreads / kRowThreads;
  return dim3(static_cast<unsigned>((rows + kRowsPerBlock - 1) / kRowsPerBlock));
}

// Calls body.operator()<kRowThreads, kVector>() with the variant of a kernel that fits the rows.
template <class Body>
void with_row_variant(bool warp_per_row, bool vector, const Body& body) {
  if (warp_per_row && vector) return body.template operator()<kWarpThreads, true>();
  if (warp_per_row) return body.template operator()<kWarpThreads, false>();
  if (vector) return body.template operator()<kBlockThreads, true>();
  return body.template operator()<kBlockThreads, false>();
}

// T is float or double.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  PG_UNROLL
  for (int distance = kWarpThreads / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
  PG_UNROLL
  for (int distance = kWarpThreads / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kWholeWarp, value, distance));
  }
  return value;
}

// Leaves `value`, equal within a warp, of every warp of the block in partial[kBlockWarps]. A
// partial array serves one reduction of a kernel: no barrier protects it from the next.
template <class T>
__device__ __forceinline__ void share_among_warps(T value, T* partial) {
  if (threadIdx.x % kWarpThreads == 0) partial[threadIdx.x / kWarpThreads] = value;
  __syncthreads();
}

// Sum of `value` over the row's threads, in each of them. `partial` is used only when a row has a
// whole block.
template <int kRowThreads, class T>
__device__ __forceinline__ T row_sum(T value, T* partial) {
  static_assert(kRowThreads == kWarpThreads || kRowThreads == kBlockThreads);
  value = warp_sum(value);
  if constexpr (kRowThreads == kBlockThreads) {
    share_among_warps(value, partial);
    value = partial[0];
    PG_UNROLL
    for (int warp = 1; warp < kBlockWarps; ++warp) value += partial[warp];
  }
  return value;
}

template <int kRowThreads>
__device__ __forceinline__ float row_max(float value, float* partial) {
  static_assert(kRowThreads == kWarpThreads || kRowThreads == kBlockThreads);
  value = warp_max(value);
  if constexpr (kRowThreads == kBlockThreads) {
    share_among_warps(value, partial);
    value = partial[0];
    PG_UNROLL
    for (int warp = 1; warp < kBlockWarps; ++warp) value = fmaxf(value, partial[warp]);
  }
  return value;
}

}  // namespace pg::kernels
