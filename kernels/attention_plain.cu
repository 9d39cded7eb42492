// A warp owns four rows of the block's kRows (queries, or keys where gradients of keys are asked
// for) and walks over tiles of kOthers rows of the other side in shared memory, one for each lane.
// Outputs are added up in shared memory, a lane for every 32nd element.
#include "kernels/attention_plain.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace attention_plain_kernels {

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
constexpr int kThreads = 128, kWarps = kThreads / kWarpThreads;
constexpr int kRowsPerWarp = 4, kRows = kWarps * kRowsPerWarp;
constexpr int kOthers = kWarpThreads;

// Sizes that kernels compute with.
struct PlainSizes {
  int tokens, keys, first, heads, kv_heads, group, dim;
  int stride;  // of rows that lanes read side by side: odd, so that they are in different banks
  float scale;
  const int32_t* starts;

  // First key of a query of a sequence of the batch; of one that does not exist as of the last.
  __device__ __forceinline__ int first_key(int64_t batch, int query) const {
    return starts == nullptr ? 0 : starts[batch * tokens + min(query, tokens - 1)];
  }
};

// The maximum that a packed row begins with: finite, because a tile may hold none of its keys.
constexpr float kNoScore = -1e30f;

// A head's rows in device memory; none where there is no tensor.
template <class T>
struct Rows {
  T* data;
  int64_t stride;
  int count;
};

template <class T>
__device__ __forceinline__ Rows<T> head_rows(T* data, int64_t stride, int64_t batch, int count,
                                             int head, int dim) {
  if (data == nullptr) return {nullptr, stride, 0};
  return {data + batch * count * stride + int64_t{head} * dim, stride, count};
}

// tile[kCount][dim] = rows from `first` on as f32; zeros past the last. tile rows lie `stride`
// apart.
template <int kCount, class T>
__device__ __forceinline__ void load_rows(float* tile, int stride, const Rows<const T>& rows,
                                          int first, int dim) {
  for (int i = static_cast<int>(threadIdx.x); i < kCount * dim; i += kThreads) {
    const int row = i / dim, column = i % dim;
    const bool is_present = first + row < rows.count;
    tile[row * stride + column] =
        is_present ? static_cast<float>(rows.data[(first + row) * rows.stride + column]) : 0.0f;
  }
}

__device__ __forceinline__ void fill_zero(float* tile, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) tile[i] = 0.0f;
}

__device__ __forceinline__ float dot(const float* a, const float* b, int dim) {
  float sum = 0.0f;
  for (int d = 0; d < dim; ++d) sum += a[d] * b[d];
  return sum;
}

// sums[dim] = factor sums + sum over kOthers of weights[j] others[j]; by one warp.
__device__ __forceinline__ void add_weighted_rows(float* sums, float factor, const float* weights,
                                                  const float* others, int stride, int dim) {
  for (int d = static_cast<int>(threadIdx.x) % kWarpThreads; d < dim; d += kWarpThreads) {
    float sum = factor * sums[d];
    for (int j = 0; j < kOthers; ++j) sum += weights[j] * others[j * stride + d];
    sums[d] = sum;
  }
}

// Row `row` of the head = (or +=) factor sums[dim]; by one warp.
template <class T>
__device__ __forceinline__ void store_sums(Dest<T> to, const Rows<T>& rows, int row,
                                           const float* sums, float factor, int dim) {
  if (row >= rows.count) return;
  T* const out = rows.data + row * rows.stride;
  for (int d = static_cast<int>(threadIdx.x) % kWarpThreads; d < dim; d += kWarpThreads) {
    const float value = factor * sums[d];
    out[d] = round_to<T>(to.accumulate ? static_cast<float>(out[d]) + value : value);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads, 4)
    attention_plain_kernel(Dest<T> y, Dest<float> lse, const T* q, const T* k, const T* v,
                           int64_t v_stride, PlainSizes sizes) {
  PG_DYN_SHARED(float, shared);
  const int dim = sizes.dim, stride = sizes.stride;
  float* const q_tile = shared;                     // [kRows][dim]
  float* const o_tile = q_tile + kRows * dim;       // [kRows][dim]
  float* const k_tile = o_tile + kRows * dim;       // [kOthers][stride]
  float* const v_tile = k_tile + kOthers * stride;  // [kOthers][stride]
  float* const p_tile = v_tile + kOthers * stride;  // [kRows][kOthers]
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;

  const unsigned tiles = static_cast<unsigned>((sizes.tokens + kRows - 1) / kRows);
  const unsigned heads = static_cast<unsigned>(sizes.heads);
  const int row0 = static_cast<int>(blockIdx.x % tiles) * kRows;
  const int head = static_cast<int>(blockIdx.x / tiles % heads);
  const int64_t batch = blockIdx.x / tiles / heads;
  const int kv_head = head / sizes.group;
  const int64_t q_stride = int64_t{sizes.heads} * dim, k_stride = int64_t{sizes.kv_heads} * dim;
  const auto q_rows = head_rows(q, q_stride, batch, sizes.tokens, head, dim);
  const auto k_rows = head_rows(k, k_stride, batch, sizes.keys, kv_head, dim);
  const auto v_rows = head_rows(v, v_stride, batch, sizes.keys, kv_head, dim);

  load_rows<kRows>(q_tile, dim, q_rows, row0, dim);
  fill_zero(o_tile, kRows * dim);
  float top[kRowsPerWarp], sum[kRowsPerWarp];  // of scores in base 2, of numerators
  PG_UNROLL
  for (int r = 0; r < kRowsPerWarp; ++r) {
    top[r] = sizes.starts == nullptr ? -INFINITY : kNoScore;
    sum[r] = 0.0f;
  }
  const int keys = min(sizes.keys, sizes.first + row0 + kRows);
  const int first_key = sizes.first_key(batch, row0) / kOthers * kOthers;
  for (int key0 = first_key; key0 < keys; key0 += kOthers) {
    __syncthreads();
    load_rows<kOthers>(k_tile, stride, k_rows, key0, dim);
    load_rows<kOthers>(v_tile, stride, v_rows, key0, dim);
    __syncthreads();
    PG_UNROLL
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const int row = warp * kRowsPerWarp + r;
      float score = dot(q_tile + row * dim, k_tile + lane * stride, dim) * sizes.scale * kLog2E;
      if (key0 + lane > sizes.first + row0 + row) score = -INFINITY;
      if (key0 + lane < sizes.first_key(batch, row0 + row)) score = -INFINITY;
      const float new_top = fmaxf(top[r], warp_max(score));
      const float factor = exp2_approx(top[r] - new_top), p = exp2_approx(score - new_top);
      top[r] = new_top;
      sum[r] = sum[r] * factor + p;
      p_tile[row * kOthers + lane] = p;
      __syncwarp();
      add_weighted_rows(o_tile + row * dim, factor, p_tile + row * kOthers, v_tile, stride, dim);
    }
  }
  const auto y_rows = head_rows(y.data, q_stride, batch, sizes.tokens, head, dim);
  PG_UNROLL
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const int row = warp * kRowsPerWarp + r;
    const float total = warp_sum(sum[r]);
    store_sums(y, y_rows, row0 + row, o_tile + row * dim, 1.0f / total, dim);
    if (lane == 0 && row0 + row < sizes.tokens) {
      store_value(lse, (batch * sizes.heads + head) * sizes.tokens + row0 + row,
                  top[r] * kLn2 + logf(total));
    }
  }
}

// Of one score: p = exp(score - lse), and ds = p (dp - delta).
struct ScoreGradient {
  float p, ds;
};
__device__ __forceinline__ ScoreGradient score_gradient(float q_dot_k, float dy_dot_v, float lse,
                                                        float delta, float scale) {
  const float p = exp2_approx((q_dot_k * scale - lse) * kLog2E);
  return {p, p * (dy_dot_v - delta)};
}

template <class T>
struct BackwardTensors {
  const T *q, *k, *v, *dy;
  const float *lse, *delta;
  int64_t v_stride, dv_stride;
};

template <class T>
__global__ void __launch_bounds__(kThreads, 4)
    attention_plain_dq_kernel(Dest<T> dq, BackwardTensors<T> in, PlainSizes sizes) {
  PG_DYN_SHARED(float, shared);
  const int dim = sizes.dim, stride = sizes.stride;
  float* const q_tile = shared;                      // [kRows][dim]
  float* const dy_tile = q_tile + kRows * dim;       // [kRows][dim]
  float* const dq_tile = dy_tile + kRows * dim;      // [kRows][dim]
  float* const k_tile = dq_tile + kRows * dim;       // [kOthers][stride]
  float* const v_tile = k_tile + kOthers * stride;   // [kOthers][stride]
  float* const ds_tile = v_tile + kOthers * stride;  // [kRows][kOthers]
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;

  const unsigned tiles = static_cast<unsigned>((sizes.tokens + kRows - 1) / kRows);
  const unsigned heads = static_cast<unsigned>(sizes.heads);
  const int row0 = static_cast<int>(blockIdx.x % tiles) * kRows;
  const int head = static_cast<int>(blockIdx.x / tiles % heads);
  const int64_t batch = blockIdx.x / tiles / heads;
  const int kv_head = head / sizes.group;
  const int64_t q_stride = int64_t{sizes.heads} * dim, k_stride = int64_t{sizes.kv_heads} * dim;
  const auto k_rows = head_rows(in.k, k_stride, batch, sizes.tokens, kv_head, dim);
  const auto v_rows = head_rows(in.v, in.v_stride, batch, sizes.tokens, kv_head, dim);
  const int64_t stats = (batch * sizes.heads + head) * sizes.tokens;

  load_rows<kRows>(q_tile, dim, head_rows(in.q, q_stride, batch, sizes.tokens, head, dim), row0,
                   dim);
  load_rows<kRows>(dy_tile, dim, head_rows(in.dy, q_stride, batch, sizes.tokens, head, dim), row0,
                   dim);
  fill_zero(dq_tile, kRows * dim);
  const int keys = min(sizes.tokens, row0 + kRows);
  const int first_key = sizes.first_key(batch, row0) / kOthers * kOthers;
  for (int key0 = first_key; key0 < keys; key0 += kOthers) {
    __syncthreads();
    load_rows<kOthers>(k_tile, stride, k_rows, key0, dim);
    load_rows<kOthers>(v_tile, stride, v_rows, key0, dim);
    __syncthreads();
    PG_UNROLL
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const int row = warp * kRowsPerWarp + r, query = row0 + row;
      float ds = 0.0f;
      if (query < sizes.tokens && key0 + lane <= query &&
          key0 + lane >= sizes.first_key(batch, query)) {
        ds = score_gradient(dot(q_tile + row * dim, k_tile + lane * stride, dim),
                            dot(dy_tile + row * dim, v_tile + lane * stride, dim),
                            in.lse[stats + query], in.delta[stats + query], sizes.scale)
                 .ds;
      }
      ds_tile[row * kOthers + lane] = ds;
      __syncwarp();
      add_weighted_rows(dq_tile + row * dim, 1.0f, ds_tile + row * kOthers, k_tile, stride, dim);
    }
  }
  const auto dq_rows = head_rows(dq.data, q_stride, batch, sizes.tokens, head, dim);
  PG_UNROLL
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const int row = warp * kRowsPerWarp + r;
    store_sums(dq, dq_rows, row0 + row, dq_tile + row * dim, sizes.scale, dim);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads, 4)
    attention_plain_dkv_kernel(Dest<T> dk, Dest<T> dv, BackwardTensors<T> in, PlainSizes sizes) {
  PG_DYN_SHARED(float, shared);
  const int dim = sizes.dim, stride = sizes.stride;
  float* const k_tile = shared;                      // [kRows][dim]
  float* const v_tile = k_tile + kRows * dim;        // [kRows][dim]
  float* const dk_tile = v_tile + kRows * dim;       // [kRows][dim]
  float* const dv_tile = dk_tile + kRows * dim;      // [kRows][dim]
  float* const q_tile = dv_tile + kRows * dim;       // [kOthers][stride]
  float* const dy_tile = q_tile + kOthers * stride;  // [kOthers][stride]
  float* const p_tile = dy_tile + kOthers * stride;  // [kRows][kOthers]
  float* const ds_tile = p_tile + kRows * kOthers;   // [kRows][kOthers]
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;

  const unsigned tiles = static_cast<unsigned>((sizes.tokens + kRows - 1) / kRows);
  const unsigned kv_heads = static_cast<unsigned>(sizes.kv_heads);
  const int row0 = static_cast<int>(blockIdx.x % tiles) * kRows;
  const int kv_head = static_cast<int>(blockIdx.x / tiles % kv_heads);
  const int64_t batch = blockIdx.x / tiles / kv_heads;
  const int64_t q_stride = int64_t{sizes.heads} * dim, k_stride = int64_t{sizes.kv_heads} * dim;

  load_rows<kRows>(k_tile, dim, head_rows(in.k, k_stride, batch, sizes.tokens, kv_head, dim), row0,
                   dim);
  load_rows<kRows>(v_tile, dim, head_rows(in.v, in.v_stride, batch, sizes.tokens, kv_head, dim),
                   row0, dim);
  fill_zero(dk_tile, 2 * kRows * dim);
  for (int member = 0; member < sizes.group; ++member) {
    const int head = kv_head * sizes.group + member;
    const auto q_rows = head_rows(in.q, q_stride, batch, sizes.tokens, head, dim);
    const auto dy_rows = head_rows(in.dy, q_stride, batch, sizes.tokens, head, dim);
    const int64_t stats = (batch * sizes.heads + head) * sizes.tokens;
    for (int query0 = row0 / kOthers * kOthers;
         query0 < sizes.tokens && sizes.first_key(batch, query0) < row0 + kRows;
         query0 += kOthers) {
      __syncthreads();
      load_rows<kOthers>(q_tile, stride, q_rows, query0, dim);
      load_rows<kOthers>(dy_tile, stride, dy_rows, query0, dim);
      __syncthreads();
      PG_UNROLL
      for (int r = 0; r < kRowsPerWarp; ++r) {
        const int row = warp * kRowsPerWarp + r, query = query0 + lane;
        ScoreGradient gradient = {0.0f, 0.0f};
        if (query < sizes.tokens && row0 + row <= query &&
            row0 + row >= sizes.first_key(batch, query)) {
          gradient = score_gradient(dot(k_tile + row * dim, q_tile + lane * stride, dim),
                                    dot(v_tile + row * dim, dy_tile + lane * stride, dim),
                                    in.lse[stats + query], in.delta[stats + query], sizes.scale);
        }
        p_tile[row * kOthers + lane] = gradient.p;
        ds_tile[row * kOthers + lane] = gradient.ds;
        __syncwarp();
        add_weighted_rows(dv_tile + row * dim, 1.0f, p_tile + row * kOthers, dy_tile, stride, dim);
        add_weighted_rows(dk_tile + row * dim, 1.0f, ds_tile + row * kOthers, q_tile, stride, dim);
      }
    }
  }
  __syncthreads();
  const auto dk_rows = head_rows(dk.data, k_stride, batch, sizes.tokens, kv_head, dim);
  const auto dv_rows = head_rows(dv.data, in.dv_stride, batch, sizes.tokens, kv_head, dim);
  PG_UNROLL
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const int row = warp * kRowsPerWarp + r;
    store_sums(dk, dk_rows, row0 + row, dk_tile + row * dim, sizes.scale, dim);
    store_sums(dv, dv_rows, row0 + row, dv_tile + row * dim, 1.0f, dim);
  }
}

PlainSizes plain_sizes(const AttentionSizes& sizes) {
  const int dim = static_cast<int>(sizes.head_dim);
  return {static_cast<int>(sizes.tokens),
          static_cast<int>(sizes.keys()),
          static_cast<int>(sizes.first),
          static_cast<int>(sizes.heads),
          static_cast<int>(sizes.kv_heads),
          static_cast<int>(sizes.heads / sizes.kv_heads),
          dim,
          dim | 1,
          sizes.scale,
          sizes.starts};
}

dim3 plain_grid(int64_t tokens, int64_t heads, int64_t batch) {
  return dim3(static_cast<unsigned>((tokens + kRows - 1) / kRows * heads * batch));
}

// own_tiles of kRows rows, two tiles of the other side, `weights` of kRows x kOthers.
size_t plain_shared_bytes(const PlainSizes& sizes, int own_tiles, int weights) {
  const int floats =
      own_tiles * kRows * sizes.dim + 2 * kOthers * sizes.stride + weights * kRows * kOthers;
  return static_cast<size_t>(floats) * sizeof(float);
}

}  // namespace attention_plain_kernels

template <class T>
void attention_plain(Dest<T> y, Dest<float> lse, const T* q, const T* k, const T* v,
                     int64_t v_stride, const AttentionSizes& sizes, Stream stream) {
  const PlainSizes plain = plain_sizes(sizes);
  launch(&attention_plain_kernel<T>, plain_grid(sizes.tokens, sizes.heads, sizes.batch),
         dim3(kThreads), plain_shared_bytes(plain, 2, 1), stream, y, lse, q, k, v, v_stride, plain);
}

template <class T>
void attention_backward_plain(Dest<T> dq, Dest<T> dk, Dest<T> dv, int64_t dv_stride, const T* dy,
                              const float* lse, const T* q, const T* k, const T* v,
                              int64_t v_stride, const float* delta, const AttentionSizes& sizes,
                              Stream stream) {
  const PlainSizes plain = plain_sizes(sizes);
  const BackwardTensors<T> in = {q, k, v, dy, lse, delta, v_stride, dv_stride};
  if (dq.data != nullptr) {
    launch(&attention_plain_dq_kernel<T>, plain_grid(sizes.tokens, sizes.heads, sizes.batch),
           dim3(kThreads), plain_shared_bytes(plain, 3, 1), stream, dq, in, plain);
  }
  if (dk.data != nullptr || dv.data != nullptr) {
    launch(&attention_plain_dkv_kernel<T>, plain_grid(sizes.tokens, sizes.kv_heads, sizes.batch),
           dim3(kThreads), plain_shared_bytes(plain, 4, 2), stream, dk, dv, in, plain);
  }
}

template void attention_plain<float>(Dest<float>, Dest<float>, const float*, const float*,
                                     const float*, int64_t, const AttentionSizes&, Stream);
template void attention_plain<bf16>(Dest<bf16>, Dest<float>, const bf16*, const bf16*, const bf16*,
                                    int64_t, const AttentionSizes&, Stream);
template void attention_backward_plain<float>(Dest<float>, Dest<float>, Dest<float>, int64_t,
                                              const float*, const float*, const float*,
                                              const float*, const float*, int64_t, const float*,
                                              const AttentionSizes&, Stream);
template void attention_backward_plain<bf16>(Dest<bf16>, Dest<bf16>, Dest<bf16>, int64_t,
                                             const bf16*, const float*, const bf16*, const bf16*,
                                             const bf16*, int64_t, const float*,
                                             const AttentionSizes&, Stream);

}  // namespace pg::kernels
