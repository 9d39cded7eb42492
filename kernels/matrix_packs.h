// Elementwise passes over batches of matrices, whose gaps are left alone: each block has a run of one
// matrix, each thread packs of it. And what such passes read from device memory.
#pragma once
#include "kernels/matrices.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {

// Of each matrix `size` elements; blocks have runs of kPacks * kPack elements a thread.
struct PackGrid {
  int64_t size;
  unsigned blocks_per_matrix;
};

template <int kPack, int kPacks>
PackGrid make_pack_grid(int64_t size) {
  constexpr int64_t kRun = int64_t{kBlockThreads} * kPack * kPacks;
  return {size, static_cast<unsigned>((size + kRun - 1) / kRun)};
}

inline dim3 grid_of(const PackGrid& grid, int64_t count) {
  return dim3(static_cast<unsigned>(count * grid.blocks_per_matrix));
}

// This block's matrix.
__device__ __forceinline__ int64_t matrix_of_block(const PackGrid& grid) {
  return blockIdx.x / grid.blocks_per_matrix;
}

// Where this thread's pack number k lies within its matrix; it may lie past the end.
template <int kPack, int kPacks>
__device__ __forceinline__ int64_t pack_start(const PackGrid& grid, int k) {
  const int64_t run = blockIdx.x % grid.blocks_per_matrix;
  return ((run * kPacks + k) * kBlockThreads + static_cast<int>(threadIdx.x)) * kPack;
}

// Elements of a pack at `start` that are there: at most kPack, 0 or less past the end.
template <int kPack>
__device__ __forceinline__ int elements_of_pack(int64_t start, int64_t size) {
  const int64_t left = size - start;
  return left < kPack ? static_cast<int>(left < 0 ? 0 : left) : kPack;
}

// Whether kVector kernels may take packs of whole 16 bytes of each matrix from its start on.
template <class T>
bool has_vector_starts(const T* data, int64_t count, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && (count < 2 || stride % kPackOf<T> == 0);
}

// The first `count` of kCount elements; zeros stand for the rest. kVector kernels take those of the
// last pack one by one.
template <int kCount, bool kVector, class T>
__device__ __forceinline__ Pack<T, kCount> load_part(const T* from, int count) {
  if (kVector && count == kCount) return load_pack<kCount, kVector>(from, 0, kCount);
  return load_pack<kCount, false>(from, 0, count);
}

template <bool kVector, int kCount, class T>
__device__ __forceinline__ void store_part(T* to, const float (&values)[kCount], int count,
                                           bool accumulate) {
  if (kVector && count == kCount) {
    store_pack<kVector>(to, values, 0, kCount, accumulate);
  } else {
    store_pack<false>(to, values, 0, count, accumulate);
  }
}

// A scalar of device memory that may be absent.
__device__ __forceinline__ float scalar_or_one(const float* scalar) {
  return scalar != nullptr ? *scalar : 1.0f;
}

__device__ __forceinline__ bool is_nan(float x) { return x != x; }

}  // namespace pg::kernels
