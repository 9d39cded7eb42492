// Sums over the warps of a block of values that each of them holds for the same columns.
#pragma once
#include "kernels/dialect.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {

// f32 of shared memory that add_up_warps() of kCount values takes.
template <int kCount>
inline constexpr int kWarpColumnFloats = kBlockWarps / 2 * kCount* kWarpThreads;

// Adds the values of all warps, lane by lane, into those of the block's first warp, pair by pair: in an
// order that the code fixes. All threads of the block call it, once with the same memory.
template <int kCount>
__device__ __forceinline__ void add_up_warps(float (&values)[kCount], float* shared) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  for (int half = kBlockWarps / 2; half > 0; half /= 2) {
    // A place that is written again is one that its writer alone has read: no second barrier.
    const int pair = (warp % half + half) % (kBlockWarps / 2);
    float* const place = shared + pair * kCount * kWarpThreads + lane;
    if (warp >= half && warp < 2 * half) {
      PG_UNROLL
      for (int i = 0; i < kCount; ++i) place[i * kWarpThreads] = values[i];
    }
    __syncthreads();
    if (warp < half) {
      PG_UNROLL
      for (int i = 0; i < kCount; ++i) values[i] += place[i * kWarpThreads];
    }
  }
}

}  // namespace pg::kernels
