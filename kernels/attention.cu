// Forward on tensor cores. A block owns kRows queries of a head, a warp 16 or 32 of them, whose
// scores and outputs stay in registers; tiles of kKeys keys and values stream through two stages of
// shared memory, the next one being copied while this one is multiplied. Tiles past the diagonal
// are not read, those on it are masked. The softmax is online and in base 2, its scale folded into
// one multiply-add per score.
#include "kernels/attention.h"

#include "kernels/attention_plain.h"
#include "kernels/attention_tile.h"

namespace pg::kernels {
namespace {

constexpr int kKeys = 64;  // of a tile
constexpr int kKeyGroups = kKeys / kHalfFragment;
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
};

// Online softmax of a warp's rows: rows g and g + 8 of each of its kTiles row tiles.
template <int kTiles>
struct SoftmaxRows {
  float maximum[kTiles][2];  // that is subtracted; of scores before their scale
  float sum[kTiles][2];      // of this lane's numerators
};

// Turns scores into numerators, and the outputs so far to the same maximum.
template <int kTiles, int kGroups>
__device__ __forceinline__ void take_scores(SoftmaxRows<kTiles>& rows,
                                            float (&s)[kTiles][kKeyGroups][4],
                                            float (&o)[kTiles][kGroups][4], float scale_log2) {
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    float factor[2];
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      float top = s[i][0][2 * half];
      PG_UNROLL
      for (int j = 0; j < kKeyGroups; ++j) {
        top = fmaxf(top, fmaxf(s[i][j][2 * half], s[i][j][2 * half + 1]));
      }
      top = quad_max(top);
      const float old = rows.maximum[i][half];
      const bool grows = (top - old) * scale_log2 > kMaximumSlack;
      const float maximum = grows ? top : old;
      factor[half] = grows ? exp2_approx((old - top) * scale_log2) : 1.0f;
      rows.maximum[i][half] = maximum;
      const float shift = maximum * scale_log2;
      float sum = rows.sum[i][half] * factor[half];
      PG_UNROLL
      for (int j = 0; j < kKeyGroups; ++j) {
        PG_UNROLL
        for (int c = 2 * half; c < 2 * half + 2; ++c) {
          s[i][j][c] = exp2_approx(s[i][j][c] * scale_log2 - shift);
          sum += s[i][j][c];
        }
      }
      rows.sum[i][half] = sum;
    }
    if (__any_sync(kWholeWarp, factor[0] != 1.0f || factor[1] != 1.0f)) {
      PG_UNROLL
      for (int j = 0; j < kGroups; ++j) {
        PG_UNROLL
        for (int c = 0; c < 4; ++c) o[i][j][c] *= factor[c / 2];
      }
    }
  }
}

template <int kDim, int kTiles, int kWarps>
__global__ void __launch_bounds__(kWarps* kWarpThreads) attention_kernel(ForwardArgs args) {
  constexpr int kThreads = kWarps * kWarpThreads, kRows = kWarps * kTiles * kFragment;
  constexpr int kStride = kTileStride<kDim>, kTileSize = kKeys * kStride;
  static_assert(kRows <= 2 * kKeys, "queries pass through the second stage");
  PG_DYN_SHARED(bf16, stages);  // [2][keys, values][kKeys][kStride]
  const LanePlace place = lane_place<kDim>();
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;

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

  load_tile<kRows, kDim, kThreads>(stages + 2 * kTileSize, q, row0);
  load_stage(0);
  cp_async_wait<0>();
  __syncthreads();
  uint32_t q_fragments[kTiles][kDim / kFragment][4];
  load_a_fragments<kDim>(q_fragments, stages + 2 * kTileSize + warp_row * kStride, place);

  float o[kTiles][kDim / kHalfFragment][4] = {};
  SoftmaxRows<kTiles> rows;
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      rows.maximum[i][half] = -INFINITY;
      rows.sum[i][half] = 0.0f;
    }
  }

  for (int tile = 0; tile < key_tiles; ++tile) {
    cp_async_wait<0>();
    __syncthreads();  // this stage is there, and the other is read
    if (tile + 1 < key_tiles) load_stage(tile + 1);
    const int key0 = tile * kKeys;
    if (key0 > last_position) continue;
    const bf16* const k_tile = stages + tile % 2 * 2 * kTileSize;
    const bf16* const v_tile = k_tile + kTileSize;

    float s[kTiles][kKeyGroups][4] = {};
    PG_UNROLL
    for (int d = 0; d < kDim / kFragment; ++d) {
      uint32_t a[kTiles][4];
      PG_UNROLL
      for (int i = 0; i < kTiles; ++i) {
        PG_UNROLL
        for (int r = 0; r < 4; ++r) a[i][r] = q_fragments[i][d][r];
      }
      PG_UNROLL
      for (int j = 0; j < kKeyGroups; j += 2) {
        uint32_t b[4];
        ldmatrix_x4(b, k_tile + place.b_offset + j * kHalfFragment * kStride + d * kFragment);
        multiply_pair(s, j, a, b);
      }
    }
    if (key0 + kKeys - 1 > position) {  // on the diagonal
      PG_UNROLL
      for (int i = 0; i < kTiles; ++i) {
        PG_UNROLL
        for (int j = 0; j < kKeyGroups; ++j) {
          PG_UNROLL
          for (int c = 0; c < 4; ++c) {
            const int key = key0 + j * kHalfFragment + place.pair + c % 2;
            const int query = position + i * kFragment + place.row + c / 2 * kHalfFragment;
            if (key > query) s[i][j][c] = -INFINITY;
          }
        }
      }
    }
    take_scores(rows, s, o, args.scale * kLog2E);
    PG_UNROLL
    for (int j = 0; j < kKeys / kFragment; ++j) {
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

  const HeadDest y = {
      {args.y.data + q_start, args.y.accumulate}, q_stride, args.tokens, args.has_y_pairs};
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      const float sum = quad_sum(rows.sum[i][half]);
      const int row = row0 + warp_row + i * kFragment + half * kHalfFragment + place.row;
      if (args.y.data != nullptr) store_row(y, row, o[i], half, 1.0f / sum, place);
      if (place.pair == 0 && row < args.tokens) {
        store_value(args.lse, (batch * args.heads + head) * args.tokens + row,
                    rows.maximum[i][half] * args.scale + logf(sum));
      }
    }
  }
}

template <int kDim, int kTiles, int kWarps>
void launch_attention(const ForwardArgs& args, int64_t batch, Stream stream) {
  constexpr int kRows = kWarps * kTiles * kFragment;
  const int64_t tiles = (args.tokens + kRows - 1) / kRows;
  launch(&attention_kernel<kDim, kTiles, kWarps>,
         dim3(static_cast<unsigned>(tiles * args.heads * batch)), dim3(kWarps * kWarpThreads),
         tile_bytes<kDim>(4 * kKeys), stream, args);
}

}  // namespace

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
                                has_pair_rows(y.data, sizes.heads * sizes.head_dim)};
      switch (sizes.head_dim) {
        case 16:
          return launch_attention<16, 2, 4>(args, sizes.batch, stream);
        case 32:
          return launch_attention<32, 2, 4>(args, sizes.batch, stream);
        case 64:
          return launch_attention<64, 2, 4>(args, sizes.batch, stream);
        default:
          return launch_attention<128, 1, 8>(args, sizes.batch, stream);
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
