// Forward on tensor cores. A block owns kRows queries of a head, a warp 16 or 32 of them, whose
// scores and outputs stay in registers; tiles of kKeys keys and values stream through two stages of
// shared memory, the next one being copied while this one is multiplied. Tiles past the diagonal
// are not read, those on it are masked. The softmax is online and in base 2, its scale folded into
// one multiply-add per score.
#include "kernels/attention.h"

#include <type_traits>

#include "kernels/attention_plain.h"
#include "kernels/attention_tile.h"

namespace pg::kernels {
inline namespace attention_kernels {

// The maximum that a row subtracts is replaced when the true one has grown past it by this much, as
// exponents of 2: numerators then stay below 2^8, and the outputs are seldom rescaled. Every row
// decides for itself, so that its bits depend on its own scores alone.
constexpr float kMaximumSlack = 8.0f;

struct ForwardArgs {
  Dest<bf16> y;
  Dest<float> lse;
  const bf16 *q, *k, *v;
  int64_t v_stride;
  int tokens, keys, heads, kv_heads;
  float scale;
  bool has_y_pairs;
  const int32_t* starts;
};

// Online softmax of a warp's rows: rows g and g + 8 of each of its kTiles row tiles.
template <int kTiles>
struct SoftmaxRows {
  float maximum[kTiles][2];  // that is subtracted; of scores before their scale
  float sum[kTiles][2];      // of this lane's numerators
};

// Brings the outputs so far to the maximum that is right for the new scores too.
template <int kTiles, int kKeyGroups, int kGroups>
__device__ __forceinline__ void take_maximum(SoftmaxRows<kTiles>& rows,
                                             const float (&s)[kTiles][kKeyGroups][4],
                                             float (&o)[kTiles][kGroups][4], float scale_log2) {
  float factor[kTiles][2];
  bool any_grows = false;
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      float top = fmaxf(s[i][0][2 * half], s[i][0][2 * half + 1]);
      PG_UNROLL
      for (int j = 1; j < kKeyGroups; ++j) {
        top = fmaxf(top, fmaxf(s[i][j][2 * half], s[i][j][2 * half + 1]));
      }
      top = quad_max(top);
      const float old = rows.maximum[i][half];
      const bool grows = (top - old) * scale_log2 > kMaximumSlack;
      factor[i][half] = grows ? exp2_approx((old - top) * scale_log2) : 1.0f;
      rows.maximum[i][half] = grows ? top : old;
      any_grows = any_grows || grows;
    }
  }
  if (!__any_sync(kWholeWarp, any_grows)) return;
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) rows.sum[i][half] *= factor[i][half];
    PG_UNROLL
    for (int j = 0; j < kGroups; ++j) {
      PG_UNROLL
      for (int c = 0; c < 4; ++c) o[i][j][c] *= factor[i][c / 2];
    }
  }
}

// Scores to numerators, of column groups 2 k and 2 k + 1.
template <int kTiles, int kKeyGroups>
__device__ __forceinline__ void take_numerators(SoftmaxRows<kTiles>& rows,
                                                float (&s)[kTiles][kKeyGroups][4],
                                                const float (&shift)[kTiles][2], int k,
                                                float scale_log2) {
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int j = 2 * k; j < 2 * k + 2; ++j) {
      PG_UNROLL
      for (int c = 0; c < 4; ++c) {
        s[i][j][c] = exp2_approx(s[i][j][c] * scale_log2 - shift[i][c / 2]);
        rows.sum[i][c / 2] += s[i][j][c];
      }
    }
  }
}

// kKeepsQueries: their fragments stay in registers, and they come in through the second stage.
template <int kDim, int kTiles, int kWarps, int kKeys, bool kKeepsQueries, bool kIsPacked>
__global__ void __launch_bounds__(kWarps* kWarpThreads, kBlocksPerSm<kDim>)
    attention_kernel(ForwardArgs args) {
  constexpr int kThreads = kWarps * kWarpThreads, kRows = kWarps * kTiles * kFragment;
  constexpr int kStride = kTileStride<kDim>, kTileSize = kKeys * kStride;
  static_assert(!kKeepsQueries || kRows <= 2 * kKeys);
  using Queries =
      std::conditional_t<kKeepsQueries, KeptRows<kDim, kTiles>, SharedRows<kDim, kTiles>>;
  PG_DYN_SHARED(bf16, stages);  // [2][keys, values][kKeys][kStride]
  bf16* const q_tile = stages + (kKeepsQueries ? 2 : 4) * kTileSize;  // [kRows][kStride]
  const LanePlace place = lane_place<kDim>();
  const int warp = warp_index();

  // The last queries have the most keys: their blocks start first.
  const unsigned tiles = static_cast<unsigned>((args.tokens + kRows - 1) / kRows);
  const int row0 = static_cast<int>(tiles - 1 - blockIdx.x % tiles) * kRows;
  const unsigned heads = static_cast<unsigned>(args.heads);
  const int head = static_cast<int>(blockIdx.x / tiles % heads);
  const int64_t batch = blockIdx.x / tiles / heads;
  const int kv_head = head / (args.heads / args.kv_heads);
  const int first = args.keys - args.tokens;

  const int64_t q_stride = int64_t{args.heads} * kDim, k_stride = int64_t{args.kv_heads} * kDim;
  const int64_t q_start = batch * args.tokens * q_stride + head * kDim;
  const HeadRows q = {args.q + q_start, q_stride, args.tokens};
  const HeadRows k = {args.k + batch * args.keys * k_stride + kv_head * kDim, k_stride, args.keys};
  const HeadRows v = {args.v + batch * args.keys * args.v_stride + kv_head * kDim, args.v_stride,
                      args.keys};
  const auto load_stage = [&](int tile) {
    bf16* const stage = stages + tile % 2 * 2 * kTileSize;
    load_tile<kKeys, kDim, kThreads>(stage, k, tile * kKeys);
    load_tile<kKeys, kDim, kThreads>(stage + kTileSize, v, tile * kKeys);
    cp_async_commit();
  };

  // Positions of this warp's first query and of the block's and its own last one.
  const int warp_row = warp * kTiles * kFragment;
  const int position = first + row0 + warp_row;
  const int last_position = position + kTiles * kFragment - 1;
  const int key_tiles = (min(args.keys, first + row0 + kRows) + kKeys - 1) / kKeys;
  // Of packed rows: even, as the second stage has the queries at first.
  const auto first_key = first_keys<kIsPacked>(args.starts, batch, args.tokens);
  const int first_tile = first_key.of(row0) / (2 * kKeys) * 2;
  const int warp_start = first_key.of(row0 + warp_row);
  [[maybe_unused]] const int last_start = first_key.of(row0 + warp_row + kTiles * kFragment - 1);

  load_tile<kRows, kDim, kThreads>(q_tile, q, row0);
  load_stage(first_tile);
  cp_async_wait<0>();
  __syncthreads();
  const Queries q_fragments(q_tile + warp_row * kStride, place);

  const float scale_log2 = args.scale * kLog2E;
  float o[kTiles][kDim / kHalfFragment][4] = {};
  SoftmaxRows<kTiles> rows;
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      rows.maximum[i][half] = kIsPacked ? kNoScore : -INFINITY;
      rows.sum[i][half] = 0.0f;
    }
  }

  for (int tile = first_tile; tile < key_tiles; ++tile) {
    cp_async_wait<0>();
    __syncthreads();  // this stage is there, and the other is read
    if (tile + 1 < key_tiles) load_stage(tile + 1);
    const int key0 = tile * kKeys;
    if (key0 > last_position || (kIsPacked && key0 + kKeys <= warp_start)) continue;
    const bf16* const k_tile = stages + tile % 2 * 2 * kTileSize;
    const bf16* const v_tile = k_tile + kTileSize;

    float s[kTiles][kKeys / kHalfFragment][4] = {};
    multiply_rows<kDim>(s, q_fragments, k_tile, place);
    if (key0 + kKeys - 1 > position) {  // on the diagonal
      mask_scores<false>(s, position + place.row, key0 + place.pair);
    }
    if constexpr (kIsPacked) {
      if (key0 < last_start) {  // of other sequences too
        mask_first_keys<false>(s, first_key, row0 + warp_row + place.row, key0 + place.pair);
      }
    }
    take_maximum(rows, s, o, scale_log2);
    float shift[kTiles][2];
    PG_UNROLL
    for (int i = 0; i < kTiles; ++i) {
      PG_UNROLL
      for (int half = 0; half < 2; ++half) shift[i][half] = rows.maximum[i][half] * scale_log2;
    }
    PG_UNROLL
    for (int j = 0; j < kKeys / kFragment; ++j) {  // exponentials and products take turns
      take_numerators(rows, s, shift, j, scale_log2);
      uint32_t p[kTiles][4];
      PG_UNROLL
      for (int i = 0; i < kTiles; ++i) as_a_fragment(p[i], s[i], j);
      PG_UNROLL
      for (int d = 0; d < kDim / kHalfFragment; d += 2) {
        uint32_t b[4];
        ldmatrix_x4_trans(
            b, v_tile + place.b_trans_offset + j * kFragment * kStride + d * kHalfFragment);
        multiply_pair(o, d, p, b);
      }
    }
  }

  const HeadDest y = head_dest(args.y, q_start, q_stride, args.tokens, args.has_y_pairs);
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      const float sum = quad_sum(rows.sum[i][half]);
      const int row = row0 + warp_row + i * kFragment + half * kHalfFragment + place.row;
      store_row(y, row, o[i], half, 1.0f / sum, place);
      if (place.pair == 0 && row < args.tokens) {
        store_value(args.lse, (batch * args.heads + head) * args.tokens + row,
                    rows.maximum[i][half] * args.scale + logf(sum));
      }
    }
  }
}

template <int kDim, int kTiles, int kWarps, int kKeys, bool kKeepsQueries = true>
void launch_attention(const ForwardArgs& args, int64_t batch, Stream stream) {
  constexpr int kRows = kWarps * kTiles * kFragment;
  const int64_t tiles = (args.tokens + kRows - 1) / kRows;
  launch(args.starts == nullptr
             ? &attention_kernel<kDim, kTiles, kWarps, kKeys, kKeepsQueries, false>
             : &attention_kernel<kDim, kTiles, kWarps, kKeys, kKeepsQueries, true>,
         dim3(static_cast<unsigned>(tiles * args.heads * batch)), dim3(kWarps * kWarpThreads),
         tile_bytes<kDim>(4 * kKeys + (kKeepsQueries ? 0 : kRows)), stream, args);
}

}  // namespace attention_kernels

template <class T>
void attention(Dest<T> y, Dest<float> lse, const T* q, const T* k, const T* v, int64_t v_stride,
               const AttentionSizes& sizes, Stream stream) {
  if (sizes.batch * sizes.tokens == 0 || (y.data == nullptr && lse.data == nullptr)) return;
  if constexpr (std::is_same_v<T, bf16>) {
    if (has_tensor_core_path(sizes)) {
      const ForwardArgs args = {y,
                                lse,
                                q,
                                k,
                                v,
                                v_stride,
                                static_cast<int>(sizes.tokens),
                                static_cast<int>(sizes.keys()),
                                static_cast<int>(sizes.heads),
                                static_cast<int>(sizes.kv_heads),
                                sizes.scale,
                                has_pair_rows(y.data, sizes.heads * sizes.head_dim),
                                sizes.starts};
      switch (sizes.head_dim) {
        case 16:
          return launch_attention<16, 2, 4, 64>(args, sizes.batch, stream);
        case 32:
          return launch_attention<32, 2, 4, 64>(args, sizes.batch, stream);
        case 64:
          return launch_attention<64, 2, 4, 64>(args, sizes.batch, stream);
        default:
          return launch_attention<128, 2, 4, 32, false>(args, sizes.batch, stream);
      }
    }
  }
  attention_plain(y, lse, q, k, v, v_stride, sizes, stream);
}

template void attention<float>(Dest<float>, Dest<float>, const float*, const float*, const float*,
                               int64_t, const AttentionSizes&, Stream);
template void attention<bf16>(Dest<bf16>, Dest<float>, const bf16*, const bf16*, const bf16*,
                              int64_t, const AttentionSizes&, Stream);

}  // namespace pg::kernels
