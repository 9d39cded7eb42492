// Bound by memory: a row of the mix is made once and kept in registers between its sum and the output.
// Backward, a block goes through a chunk of rows: a thread's columns are the same in each, so that the
// sums over rows stay in registers too.
#include "kernels/mix_rmsnorm.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"
#include "kernels/warp_columns.h"

namespace pg::kernels {
inline namespace mix_rmsnorm_kernels {

constexpr int kKeptPacks = 4;  // at most, per thread and tensor: 16 registers

// factors[first ..], or ones.
template <int kPack, bool kVector>
__device__ __forceinline__ Pack<float, kPack> load_factors(const float* factors, int first,
                                                           int dim) {
  if (factors != nullptr) return load_pack<kPack, kVector>(factors, first, dim);
  Pack<float, kPack> ones;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) ones.v[i] = 1.0f;
  return ones;
}

// row[first ..], or zeros where there is no such tensor.
template <int kPack, bool kVector, class T>
__device__ __forceinline__ Pack<T, kPack> load_optional(const T* tensor, int64_t at, int first,
                                                        int dim) {
  if (tensor == nullptr) return {};
  return load_pack<kPack, kVector>(tensor + at, first, dim);
}

// a x + b z.
template <class T, int kPack>
__device__ __forceinline__ float mix_at(int i, const Pack<float, kPack>& a, const Pack<T, kPack>& x,
                                        const Pack<float, kPack>& b, const Pack<T, kPack>& z) {
  return fmaf(a.v[i], static_cast<float>(x.v[i]), b.v[i] * static_cast<float>(z.v[i]));
}

// The mix as it is stored; y takes it too, unrounded, where it is not null.
template <bool kVector, class T, int kPack>
__device__ __forceinline__ Pack<T, kPack> mix_pack(Dest<T> y, const MixStreams<T>& streams,
                                                   int64_t at, int first, int dim,
                                                   const Pack<T, kPack>& x,
                                                   const Pack<T, kPack>& z) {
  const Pack<float, kPack> a = load_factors<kPack, kVector>(streams.a, first, dim);
  const Pack<float, kPack> b = load_factors<kPack, kVector>(streams.b, first, dim);
  float values[kPack];
  Pack<T, kPack> mixed;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) {
    values[i] = mix_at(i, a, x, b, z);
    mixed.v[i] = round_to<T>(values[i]);
  }
  if (y.data != nullptr) store_pack<kVector>(y.data + at, values, first, dim, y.accumulate);
  return mixed;
}

template <class T, int kPack>
__device__ __forceinline__ float sum_squares(const Pack<T, kPack>& pack) {
  float sum = 0.0f;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) {
    const float value = static_cast<float>(pack.v[i]);
    sum = fmaf(value, value, sum);
  }
  return sum;
}

template <class T, int kRowThreads, int kPacks, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    mix_rmsnorm_kernel(Dest<T> y, Dest<T> n, Dest<float> rstd, const T* __restrict__ x,
                       const float* __restrict__ a, const T* __restrict__ z_rows,
                       const float* __restrict__ b, float scale, float eps, int64_t rows, int dim,
                       float inverse_dim) {
  __shared__ float partial[kBlockWarps];
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack, kKept = kPacks * kStep;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const MixStreams<T> streams = {x, a, z_rows, b, rows, dim};
  const int64_t at = row * dim;
  const int first = thread_in_row<kRowThreads>() * kPack;

  Pack<T, kPack> kept[kPacks], z[kPacks];
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    kept[k] = load_pack<kPack, kVector>(streams.x + at, first + k * kStep, dim);
    z[k] = load_optional<kPack, kVector>(streams.z, at, first + k * kStep, dim);
  }
  float sum = 0.0f;
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    kept[k] = mix_pack<kVector>(y, streams, at, first + k * kStep, dim, kept[k], z[k]);
    sum += sum_squares(kept[k]);
  }
  const auto mix_rest = [&](Dest<T> to, int i) {  // what registers do not hold is mixed twice
    return mix_pack<kVector>(to, streams, at, i, dim,
                             load_pack<kPack, kVector>(streams.x + at, i, dim),
                             load_optional<kPack, kVector>(streams.z, at, i, dim));
  };
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < dim; i += kStep) sum += sum_squares(mix_rest(y, i));
  }
  sum = row_sum<kRowThreads>(sum, partial);
  const float r = rsqrtf(fmaf(sum, inverse_dim, eps));
  if (first == 0) store_value(rstd, row, r);
  if (n.data == nullptr) return;

  const auto store_normed = [&](const Pack<T, kPack>& mixed, int i) {
    float values[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) values[j] = scale * r * static_cast<float>(mixed.v[j]);
    store_pack<kVector>(n.data + at, values, i, dim, n.accumulate);
  };
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) store_normed(kept[k], first + k * kStep);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < dim; i += kStep) store_normed(mix_rest({}, i), i);
  }
}

// partial [2, chunks, dim]: of da and of db; null: neither is asked for. A row has at most kPacks
// packs a thread.
template <class T, int kRowThreads, int kPacks, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    mix_rmsnorm_backward_kernel(Dest<T> dx, Dest<T> dz, const T* __restrict__ dy,
                                const T* __restrict__ dn, MixStreams<T> streams,
                                const float* __restrict__ rstd, float scale,
                                float* __restrict__ partial, int64_t chunk_rows, int dim,
                                float inverse_dim) {
  constexpr int kPack = kPackOf<T>, kStep = kRowThreads * kPack, kSums = kPacks * kPack;
  constexpr bool kWarpRows = kRowThreads == kWarpThreads;
  // A second array for every other row: one row's sum is read while the next one's is written.
  __shared__ float row_partial[2][kBlockWarps];
  __shared__ float columns[kWarpRows ? kWarpColumnFloats<2 * kSums> : 1];
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows;
  const int64_t end = begin + chunk_rows < streams.rows ? begin + chunk_rows : streams.rows;
  const int first = thread_in_row<kRowThreads>() * kPack;

  float sums[2 * kSums] = {};  // of da, of db
  int turn = 0;
  for (int64_t row = begin + static_cast<int>(threadIdx.x) / kRowThreads; row < end;
       row += kBlockThreads / kRowThreads) {
    const int64_t at = row * dim;
    Pack<T, kPack> x[kPacks], z[kPacks], dn_packs[kPacks], dy_packs[kPacks];
    PG_UNROLL
    for (int k = 0; k < kPacks; ++k) {
      const int i = first + k * kStep;
      x[k] = load_pack<kPack, kVector>(streams.x + at, i, dim);
      dn_packs[k] = load_pack<kPack, kVector>(dn + at, i, dim);
      z[k] = load_optional<kPack, kVector>(streams.z, at, i, dim);
      if constexpr (kVector) dy_packs[k] = load_optional<kPack, kVector>(dy, at, i, dim);
    }
    const float r = rstd[row];
    float sum = 0.0f;
    PG_UNROLL
    for (int k = 0; k < kPacks; ++k) {
      const Pack<float, kPack> a = load_factors<kPack, kVector>(streams.a, first + k * kStep, dim);
      const Pack<float, kPack> b = load_factors<kPack, kVector>(streams.b, first + k * kStep, dim);
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) {
        sum = fmaf(static_cast<float>(dn_packs[k].v[j]), mix_at(j, a, x[k], b, z[k]), sum);
      }
    }
    sum = row_sum<kRowThreads>(sum, row_partial[turn]);
    turn ^= 1;
    const float projection = r * r * (sum * inverse_dim);

    PG_UNROLL
    for (int k = 0; k < kPacks; ++k) {
      const int i = first + k * kStep;
      const Pack<float, kPack> a = load_factors<kPack, kVector>(streams.a, i, dim);
      const Pack<float, kPack> b = load_factors<kPack, kVector>(streams.b, i, dim);
      // Single elements take a register each: there are none for dy before it is needed.
      if constexpr (!kVector) dy_packs[k] = load_optional<kPack, kVector>(dy, at, i, dim);
      float g[kPack], values[kPack];
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) {
        const float y = mix_at(j, a, x[k], b, z[k]);
        const float normed = fmaf(-y, projection, static_cast<float>(dn_packs[k].v[j]));
        g[j] = fmaf(scale * r, normed, static_cast<float>(dy_packs[k].v[j]));
        float &da = sums[k * kPack + j], &db = sums[kSums + k * kPack + j];
        da = fmaf(g[j], static_cast<float>(x[k].v[j]), da);
        db = fmaf(g[j], static_cast<float>(z[k].v[j]), db);
      }
      if (dx.data != nullptr) {
        PG_UNROLL
        for (int j = 0; j < kPack; ++j) values[j] = a.v[j] * g[j];
        store_pack<kVector>(dx.data + at, values, i, dim, dx.accumulate);
      }
      if (dz.data != nullptr) {
        PG_UNROLL
        for (int j = 0; j < kPack; ++j) values[j] = b.v[j] * g[j];
        store_pack<kVector>(dz.data + at, values, i, dim, dz.accumulate);
      }
    }
  }
  if (partial == nullptr) return;

  if constexpr (kWarpRows) {
    add_up_warps(sums, columns);
    if (threadIdx.x >= kWarpThreads) return;
  }
  PG_UNROLL
  for (int k = 0; k < 2 * kPacks; ++k) {
    float values[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) values[j] = sums[k * kPack + j];
    const int64_t row = (k < kPacks ? 0 : int64_t{gridDim.x}) + blockIdx.x;
    store_pack<kVector>(partial + row * dim, values, first + k % kPacks * kStep, dim, false);
  }
}

// Whether all that is read and written of the mix comes in packs; null tensors do.
template <class T>
bool has_vector_streams(const MixStreams<T>& s, int64_t dim) {
  constexpr int kPack = kPackOf<T>;
  return has_vector_rows<kPack>(s.x, dim) && has_vector_rows<kPack>(s.z, dim) &&
         has_vector_rows<kPack>(s.a, dim) && has_vector_rows<kPack>(s.b, dim);
}

static_assert(kMaxMixRowBytes == 16 * kKeptPacks * kBlockThreads);

// Calls body.operator()<kRowThreads, kPacks, kVector>() with the variant that fits the rows.
template <class T, class Body>
void with_mix_variant(int64_t dim, bool vector, const Body& body) {
  constexpr int64_t kWarpPack = int64_t{kWarpThreads} * kPackOf<T>;
  with_row_variant(dim <= kKeptPacks * kWarpPack, vector, [&]<int kRowThreads, bool kVector>() {
    if constexpr (kRowThreads == kWarpThreads) {
      if (dim <= kKeptPacks / 2 * kWarpPack) {
        return body.template operator()<kRowThreads, kKeptPacks / 2, kVector>();
      }
    }
    body.template operator()<kRowThreads, kKeptPacks, kVector>();
  });
}

}  // namespace mix_rmsnorm_kernels

template <class T>
void mix_rmsnorm(Dest<T> y, Dest<T> n, Dest<float> rstd, const MixStreams<T>& streams, float scale,
                 float eps, Stream stream) {
  if (streams.rows == 0) return;
  const int64_t dim = streams.dim;
  const bool vector = has_vector_streams(streams, dim) &&
                      has_vector_rows<kPackOf<T>>(y.data, dim) &&
                      has_vector_rows<kPackOf<T>>(n.data, dim);
  with_mix_variant<T>(dim, vector, [&]<int kRowThreads, int kPacks, bool kVector>() {
    launch(&mix_rmsnorm_kernel<T, kRowThreads, kPacks, kVector>,
           grid_of_rows<kRowThreads>(streams.rows), dim3(kBlockThreads), 0, stream, y, n, rstd,
           streams.x, streams.a, streams.z, streams.b, scale, eps, streams.rows,
           static_cast<int>(dim), 1.0f / static_cast<float>(dim));
  });
}

template <class T>
void mix_rmsnorm_backward(const MixGradients<T>& gradients, const T* dy, const T* dn,
                          const MixStreams<T>& streams, const float* rstd, float scale,
                          float* partial, Stream stream) {
  const auto& [dx, dz, da, db] = gradients;
  const int64_t dim = streams.dim, chunks = count_row_chunks(streams.rows);
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_streams(streams, dim) && has_vector_rows<kPack>(dy, dim) &&
                      has_vector_rows<kPack>(dn, dim) && has_vector_rows<kPack>(dx.data, dim) &&
                      has_vector_rows<kPack>(dz.data, dim) && has_vector_rows<kPack>(partial, dim);
  if (chunks > 0) {
    float* const sums = da.data != nullptr || db.data != nullptr ? partial : nullptr;
    with_mix_variant<T>(dim, vector, [&]<int kRowThreads, int kPacks, bool kVector>() {
      launch(&mix_rmsnorm_backward_kernel<T, kRowThreads, kPacks, kVector>,
             dim3(static_cast<unsigned>(chunks)), dim3(kBlockThreads), 0, stream, gradients.dx,
             gradients.dz, dy, dn, streams, rstd, scale, sums, rows_per_chunk(streams.rows),
             static_cast<int>(dim), 1.0f / static_cast<float>(dim));
    });
  }
  sum_chunks<float>(da, partial, nullptr, chunks, dim, stream);
  sum_chunks<float>(db, partial + chunks * dim, nullptr, chunks, dim, stream);
}

template void mix_rmsnorm<float>(Dest<float>, Dest<float>, Dest<float>, const MixStreams<float>&,
                                 float, float, Stream);
template void mix_rmsnorm<bf16>(Dest<bf16>, Dest<bf16>, Dest<float>, const MixStreams<bf16>&, float,
                                float, Stream);
template void mix_rmsnorm_backward<float>(const MixGradients<float>&, const float*, const float*,
                                          const MixStreams<float>&, const float*, float, float*,
                                          Stream);
template void mix_rmsnorm_backward<bf16>(const MixGradients<bf16>&, const bf16*, const bf16*,
                                         const MixStreams<bf16>&, const float*, float, float*,
                                         Stream);

}  // namespace pg::kernels
