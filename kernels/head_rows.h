// Heads of rows [rows, heads*S] and the threads that share them: a thread holds 16 bytes of a head,
// a head has a power of two of neighbouring threads, so that its sums are shuffles within a warp, and
// a row has a power of two of heads. Threads beyond the last head or row, or beyond a head's end,
// hold zeros and take part in the sums.
#pragma once
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {

struct HeadThreads {
  int lane_bits;  // 2^lane_bits threads share a head, at most a warp
  int row_bits;   // 2^row_bits threads of a block share a row, at most the block

  __host__ __device__ int rows_in_block() const { return kBlockThreads >> row_bits; }
  __host__ __device__ int heads_in_block() const { return 1 << (row_bits - lane_bits); }
};

// For `heads` heads of `size` elements of T.
template <class T>
HeadThreads threads_of_heads(int heads, int size) {
  HeadThreads threads = {0, 0};
  while ((kPackOf<T> << threads.lane_bits) < size && threads.lane_bits < 5) ++threads.lane_bits;
  threads.row_bits = threads.lane_bits;
  while (threads.heads_in_block() < heads && (1 << threads.row_bits) < kBlockThreads) {
    ++threads.row_bits;
  }
  return threads;
}

// Blocks for as many groups of rows; what a block has no threads for lies along y.
inline dim3 grid_of_heads(const HeadThreads& threads, int64_t row_groups, int heads) {
  const int in_block = threads.heads_in_block();
  return dim3(static_cast<unsigned>(row_groups),
              static_cast<unsigned>((heads + in_block - 1) / in_block));
}

struct HeadPlace {
  int row;    // among those of the block at a time
  int head;   // may lie past the last
  int first;  // of this thread's elements of the head
};

template <class T>
__device__ __forceinline__ HeadPlace head_of_thread(const HeadThreads& threads) {
  const int thread = static_cast<int>(threadIdx.x);
  const int in_row = thread & ((1 << threads.row_bits) - 1);
  const int in_head = in_row & ((1 << threads.lane_bits) - 1);
  return {thread >> threads.row_bits,
          static_cast<int>(blockIdx.y) * threads.heads_in_block() + (in_row >> threads.lane_bits),
          in_head * kPackOf<T>};
}

// Sum of `value` over a head's threads, in each of them.
__device__ __forceinline__ float head_sum(float value, const HeadThreads& threads) {
  for (int distance = (1 << threads.lane_bits) / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  return value;
}

// Whether kVector kernels may read or write heads of `size` elements in rows `stride` apart.
template <class T>
bool has_vector_heads(const T* rows, int64_t size, int64_t stride) {
  return has_vector_rows<kPackOf<T>>(rows, size) && stride % kPackOf<T> == 0;
}

}  // namespace pg::kernels
