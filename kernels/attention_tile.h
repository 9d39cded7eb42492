// Tiles of bf16 rows in shared memory and a warp's fragments of them, for attention on tensor
// cores. A row of kDim elements is followed by 16 unused bytes: the eight rows that a matrix of
// ldmatrix reads then start in different banks, for every kDim that is an odd or even multiple of
// 16 up to 128.
#pragma once
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {

inline constexpr float kLog2E = 1.44269504088896341f;
inline constexpr int kFragment = 16;  // rows of A, and the inner size, of one product
inline constexpr int kHalfFragment = kFragment / 2;

// Blocks of four warps that registers should leave room for on an SM.
template <int kDim>
inline constexpr int kBlocksPerSm = kDim <= 16 ? 3 : 2;

template <int kDim>
inline constexpr int kTileStride = kDim + kPackOf<bf16>;
template <int kDim>
constexpr size_t tile_bytes(int rows) {
  return static_cast<size_t>(rows) * kTileStride<kDim> * sizeof(bf16);
}

// The rows of one head of one sequence in device memory, each at a multiple of 16 bytes.
struct HeadRows {
  const bf16* data;
  int64_t stride;  // elements from row to row
  int count;
};

// Starts to copy rows first .. first + kRows into a tile; zeros stand for rows that do not exist.
// They are there after cp_async_wait and a barrier.
template <int kRows, int kDim, int kThreads>
__device__ __forceinline__ void load_tile(bf16* tile, const HeadRows& rows, int first) {
  constexpr int kPack = kPackOf<bf16>, kPacks = kDim / kPack, kRowsAtOnce = kThreads / kPacks;
  static_assert(kThreads % kPacks == 0 && kRows % kRowsAtOnce == 0);
  const int thread = static_cast<int>(threadIdx.x), column = thread % kPacks * kPack;
  const int thread_row = thread / kPacks;
  const bf16* from = rows.data + (first + thread_row) * rows.stride + column;
  bf16* const to = tile + thread_row * kTileStride<kDim> + column;
  PG_UNROLL
  for (int row = 0; row < kRows; row += kRowsAtOnce) {
    cp_async_16(to + row * kTileStride<kDim>, from, first + thread_row + row < rows.count);
    from += kRowsAtOnce * rows.stride;
  }
}

// This thread's warp. From lane 0, so that the compiler knows it to be the same in all lanes and
// what follows from it as branches that a warp takes whole.
__device__ __forceinline__ int warp_index() {
  return __shfl_sync(kWholeWarp, static_cast<int>(threadIdx.x) / kWarpThreads, 0);
}

// What a lane's place among its warp says of fragments.
struct LanePlace {
  int row, pair;  // g and 2t of mma_m16n8k16

  // Offsets in a tile of the row that this lane names to ldmatrix, so that the four matrices are:
  int a_offset;        // the 16 x 16 of A at rows x columns
  int b_offset;        // of B = tileT: b of two column groups, at 16 tile rows x 16 inner
  int b_trans_offset;  // of B = tile: b of two column groups, at 16 inner x 16 tile columns
};

template <int kDim>
__device__ __forceinline__ LanePlace lane_place() {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int in_matrix = lane % 8, low = lane / 8 % 2 * 8, high = lane / 16 * 8;
  return {lane / 4, lane % 4 * 2, (low + in_matrix) * kTileStride<kDim> + high,
          (high + in_matrix) * kTileStride<kDim> + low,
          (low + in_matrix) * kTileStride<kDim> + high};
}

// d[i][j] += a[i] b: both column groups of one ldmatrix, for all row tiles.
template <int kTiles, int kGroups>
__device__ __forceinline__ void multiply_pair(float (&d)[kTiles][kGroups][4], int group,
                                              const uint32_t (&a)[kTiles][4],
                                              const uint32_t (&b)[4]) {
  const uint32_t b_low[2] = {b[0], b[1]}, b_high[2] = {b[2], b[3]};
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    mma_m16n8k16(d[i][group], a[i], b_low);
    mma_m16n8k16(d[i][group + 1], a[i], b_high);
  }
}

// The A fragments of a warp's rows of a tile: kept in registers, or read again at every use.
template <int kDim, int kTiles>
struct KeptRows {
  uint32_t fragments[kTiles][kDim / kFragment][4];

  __device__ __forceinline__ KeptRows(const bf16* tile, const LanePlace& place) {
    PG_UNROLL
    for (int i = 0; i < kTiles; ++i) {
      PG_UNROLL
      for (int k = 0; k < kDim / kFragment; ++k) {
        ldmatrix_x4(fragments[i][k],
                    tile + place.a_offset + i * kFragment * kTileStride<kDim> + k * kFragment);
      }
    }
  }
  __device__ __forceinline__ void read(uint32_t (&a)[kTiles][4], int k) const {
    PG_UNROLL
    for (int i = 0; i < kTiles; ++i) {
      PG_UNROLL
      for (int r = 0; r < 4; ++r) a[i][r] = fragments[i][k][r];
    }
  }
};
template <int kDim, int kTiles>
struct SharedRows {
  const bf16* lane_row;

  __device__ __forceinline__ SharedRows(const bf16* tile, const LanePlace& place)
      : lane_row(tile + place.a_offset) {}
  __device__ __forceinline__ void read(uint32_t (&a)[kTiles][4], int k) const {
    PG_UNROLL
    for (int i = 0; i < kTiles; ++i) {
      ldmatrix_x4(a[i], lane_row + i * kFragment * kTileStride<kDim> + k * kFragment);
    }
  }
};

// d[i][j] += a[i] bT for the rows of B in a tile of kGroups * 8 rows.
template <int kDim, class Rows, int kTiles, int kGroups>
__device__ __forceinline__ void multiply_rows(float (&d)[kTiles][kGroups][4], const Rows& rows,
                                              const bf16* tile, const LanePlace& place) {
  PG_UNROLL
  for (int k = 0; k < kDim / kFragment; ++k) {
    uint32_t a[kTiles][4];
    rows.read(a, k);
    PG_UNROLL
    for (int j = 0; j < kGroups; j += 2) {
      uint32_t b[4];
      ldmatrix_x4(b, tile + place.b_offset + j * kHalfFragment * kTileStride<kDim> + k * kFragment);
      multiply_pair(d, j, a, b);
    }
  }
}

// The A fragment of columns 16 k .. of a product's result, rounded to bf16: the layout of D is that
// of A.
template <int kGroups>
__device__ __forceinline__ void as_a_fragment(uint32_t (&a)[4], const float (&d)[kGroups][4],
                                              int k) {
  a[0] = pack_bf16(d[2 * k][0], d[2 * k][1]);
  a[1] = pack_bf16(d[2 * k][2], d[2 * k][3]);
  a[2] = pack_bf16(d[2 * k + 1][0], d[2 * k + 1][1]);
  a[3] = pack_bf16(d[2 * k + 1][2], d[2 * k + 1][3]);
}

// Scores of which is_hidden(query, key) to -infinity. row, column: the positions of this lane's first
// row and column of the scores; kKeysAreRows: whether keys or queries are the rows.
template <bool kKeysAreRows, int kTiles, int kGroups, class IsHidden>
__device__ __forceinline__ void mask_where(float (&s)[kTiles][kGroups][4], int row, int column,
                                           const IsHidden& is_hidden) {
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int j = 0; j < kGroups; ++j) {
      PG_UNROLL
      for (int c = 0; c < 4; ++c) {
        const int of_row = row + i * kFragment + c / 2 * kHalfFragment;
        const int of_column = column + j * kHalfFragment + c % 2;
        const int query = kKeysAreRows ? of_column : of_row;
        const int key = kKeysAreRows ? of_row : of_column;
        if (is_hidden(query, key)) s[i][j][c] = -INFINITY;
      }
    }
  }
}

// Keys that stand after their query.
template <bool kKeysAreRows, int kTiles, int kGroups>
__device__ __forceinline__ void mask_scores(float (&s)[kTiles][kGroups][4], int row, int column) {
  mask_where<kKeysAreRows>(s, row, column, [](int query, int key) { return key > query; });
}

// What packed queries see begins: of each query of a sequence of the batch its first key. Not packed:
// 0, known to the compiler, so that other batches pay nothing.
template <bool kIsPacked>
struct FirstKeys {
  const int32_t* starts;
  int tokens;

  // Those of queries that do not exist are as of the last.
  __device__ __forceinline__ int of(int query) const {
    return kIsPacked ? starts[min(query, tokens - 1)] : 0;
  }
};
template <bool kIsPacked>
__device__ __forceinline__ FirstKeys<kIsPacked> first_keys(const int32_t* starts, int64_t batch,
                                                           int tokens) {
  return {kIsPacked ? starts + batch * tokens : nullptr, tokens};
}

// The maximum that a packed row begins with: finite, because a tile may hold none of its keys, and
// far below any score.
inline constexpr float kNoScore = -1e30f;

// Keys before their query's first.
template <bool kKeysAreRows, int kTiles, int kGroups>
__device__ __forceinline__ void mask_first_keys(float (&s)[kTiles][kGroups][4],
                                                const FirstKeys<true>& keys, int row, int column) {
  mask_where<kKeysAreRows>(s, row, column,
                           [&](int query, int key) { return key < keys.of(query); });
}

// Where the rows of one head go.
struct HeadDest {
  Dest<bf16> to;
  int64_t stride;
  int count;
  bool has_pairs;  // every row to 4 bytes
};

// Nowhere where `to` is not computed.
__device__ __forceinline__ HeadDest head_dest(Dest<bf16> to, int64_t start, int64_t stride,
                                              int count, bool has_pairs) {
  if (to.data == nullptr) return {to, stride, 0, has_pairs};
  return {{to.data + start, to.accumulate}, stride, count, has_pairs};
}

// Row `row` of the head, if it exists, = (or +=) factor times this lane's part of a result's row:
// half 0 or 1 of the fragment rows.
template <int kGroups>
__device__ __forceinline__ void store_row(const HeadDest& dest, int row,
                                          const float (&d)[kGroups][4], int half, float factor,
                                          const LanePlace& place) {
  if (row >= dest.count) return;
  bf16* const to = dest.to.data + row * dest.stride + place.pair;
  if (dest.has_pairs && !dest.to.accumulate) {
    PG_UNROLL
    for (int j = 0; j < kGroups; ++j) {
      *reinterpret_cast<uint32_t*>(to + j * kHalfFragment) =
          pack_bf16(factor * d[j][2 * half], factor * d[j][2 * half + 1]);
    }
    return;
  }
  PG_UNROLL
  for (int j = 0; j < kGroups; ++j) {
    PG_UNROLL
    for (int c = 0; c < 2; ++c) {
      bf16& element = to[j * kHalfFragment + c];
      const float value = factor * d[j][2 * half + c];
      element = round_to<bf16>(dest.to.accumulate ? static_cast<float>(element) + value : value);
    }
  }
}

// Sum over the four lanes that hold a row of a result.
__device__ __forceinline__ float quad_sum(float value) {
  value += __shfl_xor_sync(kWholeWarp, value, 1);
  return value + __shfl_xor_sync(kWholeWarp, value, 2);
}
__device__ __forceinline__ float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kWholeWarp, value, 1));
  return fmaxf(value, __shfl_xor_sync(kWholeWarp, value, 2));
}

// Whether rows that lie `stride` elements apart all start at a multiple of 4 bytes.
inline bool has_pair_rows(const bf16* data, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % sizeof(uint32_t) == 0 && stride % 2 == 0;
}

}  // namespace pg::kernels
