// Backward on tensor cores, in three kernels: delta = dy . y; dk and dv by blocks that own keys and
// walk over the queries of all heads of their group; dq by blocks that own queries and walk over
// keys. Both compute the scores again, which costs two products more than one kernel with atomics,
// and less than adding up partial dq in memory. Scores are computed in the orientation in which their
// gradients are the A operand of what follows, straight from the accumulators.
#include "kernels/attention.h"
#include "kernels/attention_plain.h"
#include "kernels/attention_tile.h"

namespace pg::kernels {
inline namespace attention_backward_kernels {

constexpr int kDeltaLanes = 8;  // that share a head of one row

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    attention_delta_kernel(float* delta, const T* dy, const T* y, int64_t rows, int64_t tokens,
                           int heads, int dim) {
  constexpr int kPack = kPackOf<T>;
  const int64_t i =
      (int64_t{blockIdx.x} * kBlockThreads + static_cast<int>(threadIdx.x)) / kDeltaLanes;
  const int lane = static_cast<int>(threadIdx.x) % kDeltaLanes;
  float sum = 0.0f;
  if (i < rows) {
    for (int d = lane * kPack; d < dim; d += kDeltaLanes * kPack) {
      const Pack<T, kPack> a = load_pack<kPack, kVector>(dy + i * dim, d, dim);
      const Pack<T, kPack> b = load_pack<kPack, kVector>(y + i * dim, d, dim);
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) {
        sum += static_cast<float>(a.v[j]) * static_cast<float>(b.v[j]);
      }
    }
  }
  PG_UNROLL
  for (int distance = kDeltaLanes / 2; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(kWholeWarp, sum, distance);
  }
  if (lane != 0 || i >= rows) return;
  const int64_t row = i / heads, head = i % heads;
  delta[(row / tokens * heads + head) * tokens + row % tokens] = sum;
}

struct BackwardArgs {
  Dest<bf16> dq, dk, dv;
  const bf16 *q, *k, *v, *dy;
  const float *lse, *delta;
  int64_t v_stride, dv_stride;
  int tokens, heads, kv_heads;
  float scale;
  bool has_dq_pairs, has_dk_pairs, has_dv_pairs;
  const int32_t* starts;
};

// What a score needs of its query: lse and delta. A query that does not exist adds nothing anyway:
// its q and dy are zeros.
__device__ __forceinline__ float2 query_stats(const BackwardArgs& args, int64_t head_start,
                                              int query) {
  if (query >= args.tokens) return {0.0f, 0.0f};
  return {args.lse[head_start + query], args.delta[head_start + query]};
}
// With lse in base 2. Apart from the loads, so that nothing waits for them before it must.
__device__ __forceinline__ float2 in_base_2(float2 stats) { return {stats.x * kLog2E, stats.y}; }

// sums[i] += weights[i] tile, weights rounded to bf16; the tile has kGroups * 8 rows.
template <int kDim, int kTiles, int kGroups>
__device__ __forceinline__ void add_weighted(float (&sums)[kTiles][kDim / kHalfFragment][4],
                                             const float (&weights)[kTiles][kGroups][4],
                                             const bf16* tile, const LanePlace& place) {
  PG_UNROLL
  for (int k = 0; k < kGroups / 2; ++k) {
    uint32_t a[kTiles][4];
    PG_UNROLL
    for (int i = 0; i < kTiles; ++i) as_a_fragment(a[i], weights[i], k);
    PG_UNROLL
    for (int d = 0; d < kDim / kHalfFragment; d += 2) {
      uint32_t b[4];
      ldmatrix_x4_trans(
          b, tile + place.b_trans_offset + k * kFragment * kTileStride<kDim> + d * kHalfFragment);
      multiply_pair(sums, d, a, b);
    }
  }
}

template <int kDim, int kTiles, int kGroups>
__device__ __forceinline__ void store_rows(const HeadDest& dest, int row0, float factor,
                                           const float (&sums)[kTiles][kGroups][4],
                                           const LanePlace& place) {
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      store_row(dest, row0 + i * kFragment + half * kHalfFragment + place.row, sums[i], half,
                factor, place);
    }
  }
}

template <int kDim, int kTiles, int kWarps, int kQueries, bool kIsPacked>
__global__ void __launch_bounds__(kWarps* kWarpThreads, kBlocksPerSm<kDim>)
    attention_dkv_kernel(BackwardArgs args) {
  constexpr int kThreads = kWarps * kWarpThreads, kKeys = kWarps * kTiles * kFragment;
  constexpr int kStride = kTileStride<kDim>, kTileSize = kQueries * kStride;
  constexpr int kStep = kFragment;  // queries whose scores are in registers at a time
  PG_DYN_SHARED(bf16, shared);
  bf16* const k_tile = shared;                    // [kKeys][kStride]
  bf16* const v_tile = k_tile + kKeys * kStride;  // [kKeys][kStride]
  bf16* const stages = v_tile + kKeys * kStride;  // [2][q, dy][kQueries][kStride]
  float2* const stats = reinterpret_cast<float2*>(stages + 4 * kTileSize);  // [2][kQueries]
  const LanePlace place = lane_place<kDim>();
  const int warp = warp_index();
  const int thread = static_cast<int>(threadIdx.x);

  const unsigned tiles = static_cast<unsigned>((args.tokens + kKeys - 1) / kKeys);
  const unsigned kv_heads = static_cast<unsigned>(args.kv_heads);
  const int key0 = static_cast<int>(blockIdx.x % tiles) * kKeys;
  const int kv_head = static_cast<int>(blockIdx.x / tiles % kv_heads);
  const int64_t batch = blockIdx.x / tiles / kv_heads;
  const int group = args.heads / args.kv_heads;
  const int64_t q_stride = int64_t{args.heads} * kDim, k_stride = int64_t{args.kv_heads} * kDim;
  const int64_t k_start = batch * args.tokens * k_stride + kv_head * kDim;
  const HeadRows k = {args.k + k_start, k_stride, args.tokens};
  const HeadRows v = {args.v + batch * args.tokens * args.v_stride + kv_head * kDim, args.v_stride,
                      args.tokens};

  // One walk over the query tiles of all heads of the group.
  const int first_query = key0 / kQueries * kQueries;
  const int last_head = (kv_head + 1) * group - 1;
  const auto load_stage = [&](int stage, int head, int query0) {
    const int64_t start = batch * args.tokens * q_stride + head * kDim;
    bf16* const tile = stages + stage * 2 * kTileSize;
    load_tile<kQueries, kDim, kThreads>(tile, {args.q + start, q_stride, args.tokens}, query0);
    load_tile<kQueries, kDim, kThreads>(tile + kTileSize, {args.dy + start, q_stride, args.tokens},
                                        query0);
    cp_async_commit();
    return thread < kQueries
               ? query_stats(args, (batch * args.heads + head) * args.tokens, query0 + thread)
               : float2{0.0f, 0.0f};
  };
  static_assert(kQueries <= kThreads);

  load_tile<kKeys, kDim, kThreads>(k_tile, k, key0);
  load_tile<kKeys, kDim, kThreads>(v_tile, v, key0);
  const float2 first_stats = load_stage(0, kv_head * group, first_query);
  if (thread < kQueries) stats[thread] = in_base_2(first_stats);
  cp_async_wait<0>();
  __syncthreads();
  const int warp_row = warp * kTiles * kFragment;
  const KeptRows<kDim, kTiles> k_fragments(k_tile + warp_row * kStride, place);
  const SharedRows<kDim, kTiles> v_fragments(v_tile + warp_row * kStride, place);

  float dk[kTiles][kDim / kHalfFragment][4] = {}, dv[kTiles][kDim / kHalfFragment][4] = {};
  const float scale_log2 = args.scale * kLog2E;
  const int warp_key = key0 + warp_row, last_warp_key = warp_key + kTiles * kFragment - 1;
  const auto first_key = first_keys<kIsPacked>(args.starts, batch, args.tokens);
  int stage = 0, head = kv_head * group, query0 = first_query;
  while (true) {
    cp_async_wait<0>();
    __syncthreads();  // this stage is there, and the other is read
    const bool ends_head = query0 + kQueries >= args.tokens ||
                           (kIsPacked && first_key.of(query0 + kQueries) >= key0 + kKeys);
    const int next_head = ends_head ? head + 1 : head;
    const int next_query0 = ends_head ? first_query : query0 + kQueries;
    const bool has_next = next_head <= last_head;
    float2 next_stats = {0.0f, 0.0f};
    if (has_next) next_stats = load_stage(1 - stage, next_head, next_query0);
    const bf16* const q_tile = stages + stage * 2 * kTileSize;
    const bf16* const dy_tile = q_tile + kTileSize;
    PG_UNROLL
    for (int part = 0; part < kQueries; part += kStep) {
      if (query0 + part + kStep - 1 < warp_key) continue;  // all before this warp's keys
      if (kIsPacked && first_key.of(query0 + part) > last_warp_key) continue;  // of later sequences
      float p[kTiles][kStep / kHalfFragment][4] = {}, ds[kTiles][kStep / kHalfFragment][4] = {};
      multiply_rows<kDim>(p, k_fragments, q_tile + part * kStride, place);
      multiply_rows<kDim>(ds, v_fragments, dy_tile + part * kStride, place);
      if (query0 + part < last_warp_key) {  // on the diagonal
        mask_scores<true>(p, warp_key + place.row, query0 + part + place.pair);
      }
      if constexpr (kIsPacked) {
        if (first_key.of(query0 + part + kStep - 1) > warp_key) {  // of other sequences too
          mask_first_keys<true>(p, first_key, warp_key + place.row, query0 + part + place.pair);
        }
      }
      PG_UNROLL
      for (int j = 0; j < kStep / kHalfFragment; ++j) {
        PG_UNROLL
        for (int c = 0; c < 2; ++c) {
          const int in_tile = part + j * kHalfFragment + place.pair + c;
          const float2 of_query = stats[stage * kQueries + in_tile];
          PG_UNROLL
          for (int i = 0; i < kTiles; ++i) {
            PG_UNROLL
            for (int half = 0; half < 2; ++half) {
              const int e = 2 * half + c;
              p[i][j][e] = exp2_approx(p[i][j][e] * scale_log2 - of_query.x);
              ds[i][j][e] = p[i][j][e] * (ds[i][j][e] - of_query.y);
            }
          }
        }
      }
      add_weighted<kDim>(dv, p, dy_tile + part * kStride, place);
      add_weighted<kDim>(dk, ds, q_tile + part * kStride, place);
    }
    if (!has_next) break;
    stage = 1 - stage;
    head = next_head;
    query0 = next_query0;
    if (thread < kQueries) stats[stage * kQueries + thread] = in_base_2(next_stats);
  }

  const HeadDest dk_rows = head_dest(args.dk, k_start, k_stride, args.tokens, args.has_dk_pairs);
  const int64_t dv_start = batch * args.tokens * args.dv_stride + kv_head * kDim;
  const HeadDest dv_rows =
      head_dest(args.dv, dv_start, args.dv_stride, args.tokens, args.has_dv_pairs);
  store_rows<kDim>(dk_rows, warp_key, args.scale, dk, place);
  store_rows<kDim>(dv_rows, warp_key, 1.0f, dv, place);
}

template <int kDim, int kTiles, int kWarps, int kKeys, bool kIsPacked>
__global__ void __launch_bounds__(kWarps* kWarpThreads, kBlocksPerSm<kDim>)
    attention_dq_kernel(BackwardArgs args) {
  constexpr int kThreads = kWarps * kWarpThreads, kRows = kWarps * kTiles * kFragment;
  constexpr int kStride = kTileStride<kDim>, kTileSize = kKeys * kStride;
  constexpr int kStep = kFragment;  // keys whose scores are in registers at a time
  PG_DYN_SHARED(bf16, shared);
  bf16* const q_tile = shared;                     // [kRows][kStride]
  bf16* const dy_tile = q_tile + kRows * kStride;  // [kRows][kStride]
  bf16* const stages = dy_tile + kRows * kStride;  // [2][k, v][kKeys][kStride]
  const LanePlace place = lane_place<kDim>();
  const int warp = warp_index();

  // The last queries have the most keys: their blocks start first.
  const unsigned tiles = static_cast<unsigned>((args.tokens + kRows - 1) / kRows);
  const unsigned heads = static_cast<unsigned>(args.heads);
  const int row0 = static_cast<int>(tiles - 1 - blockIdx.x % tiles) * kRows;
  const int head = static_cast<int>(blockIdx.x / tiles % heads);
  const int64_t batch = blockIdx.x / tiles / heads;
  const int kv_head = head / (args.heads / args.kv_heads);
  const int64_t q_stride = int64_t{args.heads} * kDim, k_stride = int64_t{args.kv_heads} * kDim;
  const int64_t q_start = batch * args.tokens * q_stride + head * kDim;
  const HeadRows q = {args.q + q_start, q_stride, args.tokens};
  const HeadRows dy = {args.dy + q_start, q_stride, args.tokens};
  const HeadRows k = {args.k + batch * args.tokens * k_stride + kv_head * kDim, k_stride,
                      args.tokens};
  const HeadRows v = {args.v + batch * args.tokens * args.v_stride + kv_head * kDim, args.v_stride,
                      args.tokens};
  const auto load_stage = [&](int tile) {
    bf16* const stage = stages + tile % 2 * 2 * kTileSize;
    load_tile<kKeys, kDim, kThreads>(stage, k, tile * kKeys);
    load_tile<kKeys, kDim, kThreads>(stage + kTileSize, v, tile * kKeys);
    cp_async_commit();
  };

  load_tile<kRows, kDim, kThreads>(q_tile, q, row0);
  const auto first_key = first_keys<kIsPacked>(args.starts, batch, args.tokens);
  const int first_tile = first_key.of(row0) / kKeys;
  load_tile<kRows, kDim, kThreads>(dy_tile, dy, row0);
  load_stage(first_tile);
  const int warp_row = warp * kTiles * kFragment;
  const int warp_query = row0 + warp_row, last_warp_query = warp_query + kTiles * kFragment - 1;
  const int warp_start = first_key.of(warp_query);
  [[maybe_unused]] const int last_start = first_key.of(last_warp_query);
  float2 stats[kTiles][2];
  PG_UNROLL
  for (int i = 0; i < kTiles; ++i) {
    PG_UNROLL
    for (int half = 0; half < 2; ++half) {
      stats[i][half] =
          in_base_2(query_stats(args, (batch * args.heads + head) * args.tokens,
                                warp_query + i * kFragment + half * kHalfFragment + place.row));
    }
  }
  cp_async_wait<0>();
  __syncthreads();
  const KeptRows<kDim, kTiles> q_fragments(q_tile + warp_row * kStride, place);
  const KeptRows<kDim, kTiles> dy_fragments(dy_tile + warp_row * kStride, place);

  float dq[kTiles][kDim / kHalfFragment][4] = {};
  const float scale_log2 = args.scale * kLog2E;
  const int key_tiles = (min(args.tokens, row0 + kRows) + kKeys - 1) / kKeys;
  for (int tile = first_tile; tile < key_tiles; ++tile) {
    cp_async_wait<0>();
    __syncthreads();  // this stage is there, and the other is read
    if (tile + 1 < key_tiles) load_stage(tile + 1);
    const bf16* const k_tile = stages + tile % 2 * 2 * kTileSize;
    const bf16* const v_tile = k_tile + kTileSize;
    PG_UNROLL
    for (int part = 0; part < kKeys; part += kStep) {
      const int key0 = tile * kKeys + part;
      if (key0 > last_warp_query || (kIsPacked && key0 + kStep <= warp_start)) continue;
      float s[kTiles][kStep / kHalfFragment][4] = {}, ds[kTiles][kStep / kHalfFragment][4] = {};
      multiply_rows<kDim>(s, q_fragments, k_tile + part * kStride, place);
      multiply_rows<kDim>(ds, dy_fragments, v_tile + part * kStride, place);
      if (key0 + kStep - 1 > warp_query) {  // on the diagonal
        mask_scores<false>(s, warp_query + place.row, key0 + place.pair);
      }
      if constexpr (kIsPacked) {
        if (key0 < last_start) {  // of other sequences too
          mask_first_keys<false>(s, first_key, warp_query + place.row, key0 + place.pair);
        }
      }
      PG_UNROLL
      for (int i = 0; i < kTiles; ++i) {
        PG_UNROLL
        for (int j = 0; j < kStep / kHalfFragment; ++j) {
          PG_UNROLL
          for (int c = 0; c < 4; ++c) {
            const float2 of_query = stats[i][c / 2];
            const float p = exp2_approx(s[i][j][c] * scale_log2 - of_query.x);
            ds[i][j][c] = p * (ds[i][j][c] - of_query.y);
          }
        }
      }
      add_weighted<kDim>(dq, ds, k_tile + part * kStride, place);
    }
  }
  const HeadDest dq_rows = head_dest(args.dq, q_start, q_stride, args.tokens, args.has_dq_pairs);
  store_rows<kDim>(dq_rows, warp_query, args.scale, dq, place);
}

template <int kDim, int kTiles, int kWarps, int kOthers>
void launch_backward(const BackwardArgs& args, int64_t batch, Stream stream) {
  constexpr int kRows = kWarps * kTiles * kFragment;
  constexpr size_t kBytes = tile_bytes<kDim>(2 * kRows + 4 * kOthers);
  const int64_t tiles = (args.tokens + kRows - 1) / kRows;
  const bool is_packed = args.starts != nullptr;
  if (args.dk.data != nullptr || args.dv.data != nullptr) {
    launch(is_packed ? &attention_dkv_kernel<kDim, kTiles, kWarps, kOthers, true>
                     : &attention_dkv_kernel<kDim, kTiles, kWarps, kOthers, false>,
           dim3(static_cast<unsigned>(tiles * args.kv_heads * batch)), dim3(kWarps * kWarpThreads),
           kBytes + 2 * kOthers * sizeof(float2), stream, args);
  }
  if (args.dq.data != nullptr) {
    launch(is_packed ? &attention_dq_kernel<kDim, kTiles, kWarps, kOthers, true>
                     : &attention_dq_kernel<kDim, kTiles, kWarps, kOthers, false>,
           dim3(static_cast<unsigned>(tiles * args.heads * batch)), dim3(kWarps * kWarpThreads),
           kBytes, stream, args);
  }
}

template <class T>
void compute_delta(float* delta, const T* dy, const T* y, const AttentionSizes& sizes,
                   Stream stream) {
  const int64_t rows = sizes.batch * sizes.tokens * sizes.heads;
  const int64_t dim = sizes.head_dim,
                blocks = (rows * kDeltaLanes + kBlockThreads - 1) / kBlockThreads;
  const bool vector = has_vector_rows<kPackOf<T>>(dy, dim) && has_vector_rows<kPackOf<T>>(y, dim);
  launch(vector ? &attention_delta_kernel<T, true> : &attention_delta_kernel<T, false>,
         dim3(static_cast<unsigned>(blocks)), dim3(kBlockThreads), 0, stream, delta, dy, y, rows,
         sizes.tokens, static_cast<int>(sizes.heads), static_cast<int>(dim));
}

}  // namespace attention_backward_kernels

template <class T>
void attention_backward(Dest<T> dq, Dest<T> dk, Dest<T> dv, int64_t dv_stride, const T* dy,
                        const T* y, const float* lse, const T* q, const T* k, const T* v,
                        int64_t v_stride, float* delta, const AttentionSizes& sizes,
                        Stream stream) {
  if (sizes.batch * sizes.tokens == 0) return;
  if (dq.data == nullptr && dk.data == nullptr && dv.data == nullptr) return;
  compute_delta(delta, dy, y, sizes, stream);
  if constexpr (std::is_same_v<T, bf16>) {
    if (has_tensor_core_path(sizes)) {
      const int64_t q_cols = sizes.heads * sizes.head_dim, k_cols = sizes.kv_heads * sizes.head_dim;
      const BackwardArgs args = {.dq = dq,
                                 .dk = dk,
                                 .dv = dv,
                                 .q = q,
                                 .k = k,
                                 .v = v,
                                 .dy = dy,
                                 .lse = lse,
                                 .delta = delta,
                                 .v_stride = v_stride,
                                 .dv_stride = dv_stride,
                                 .tokens = static_cast<int>(sizes.tokens),
                                 .heads = static_cast<int>(sizes.heads),
                                 .kv_heads = static_cast<int>(sizes.kv_heads),
                                 .scale = sizes.scale,
                                 .has_dq_pairs = has_pair_rows(dq.data, q_cols),
                                 .has_dk_pairs = has_pair_rows(dk.data, k_cols),
                                 .has_dv_pairs = has_pair_rows(dv.data, dv_stride),
                                 .starts = sizes.starts};
      switch (sizes.head_dim) {
        case 16:
          return launch_backward<16, 2, 4, 64>(args, sizes.batch, stream);
        case 32:
          return launch_backward<32, 2, 4, 64>(args, sizes.batch, stream);
        case 64:
          return launch_backward<64, 2, 4, 64>(args, sizes.batch, stream);
        default:
          return launch_backward<128, 1, 4, 32>(args, sizes.batch, stream);
      }
    }
  }
  attention_backward_plain(dq, dk, dv, dv_stride, dy, lse, q, k, v, v_stride, delta, sizes, stream);
}

template void attention_backward<float>(Dest<float>, Dest<float>, Dest<float>, int64_t,
                                        const float*, const float*, const float*, const float*,
                                        const float*, const float*, int64_t, float*,
                                        const AttentionSizes&, Stream);
template void attention_backward<bf16>(Dest<bf16>, Dest<bf16>, Dest<bf16>, int64_t, const bf16*,
                                       const bf16*, const float*, const bf16*, const bf16*,
                                       const bf16*, int64_t, float*, const AttentionSizes&, Stream);

}  // namespace pg::kernels
