// Bound by memory: a head is read once, 16 bytes a thread, and stays in registers between its sum and
// the output. The other half of a rotated pair is another thread's: it is read again, from L1, which
// costs what a shuffle costs and needs no rule for how halves lie in packs.
#include "kernels/qk_norm_rope.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/head_rows.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace qk_norm_rope_kernels {

// values = the rotation of head[first ..] by the angles of cos_sin [R/2, 2]; direction -1 is the
// inverse. own: the head's elements there. Of a vector kernel a pack lies in one half, or in none.
template <bool kVector, int kPack, class T>
__device__ __forceinline__ void rotate(float (&values)[kPack], const Pack<T, kPack>& own,
                                       const T* head, const float* __restrict__ cos_sin, int first,
                                       int size, int rope_dims, float direction) {
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) values[i] = static_cast<float>(own.v[i]);
  const int half = rope_dims / 2, end = rope_dims < size ? rope_dims : size;
  if (first >= end) return;
  if constexpr (kVector) {
    const bool low = first < half;
    const Pack<T, kPack> other =
        load_pack<kPack, true>(head, low ? first + half : first - half, size);
    const Pack<float, 2 * kPack> angles =
        load_pack<2 * kPack, true>(cos_sin, 2 * (low ? first : first - half), rope_dims);
    const float sign = low ? direction : -direction;
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const float s = sign * angles.v[2 * i + 1];
      values[i] = fmaf(values[i], angles.v[2 * i], s * static_cast<float>(other.v[i]));
    }
  } else {
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const int d = first + i;
      if (d >= end) break;
      const bool low = d < half;
      const float* const angle = cos_sin + 2 * (low ? d : d - half);
      const float s = (low ? direction : -direction) * angle[1];
      const float other = static_cast<float>(head[low ? d + half : d - half]);
      values[i] = fmaf(values[i], angle[0], s * other);
    }
  }
}

__device__ __forceinline__ int64_t position_of(const RopeHeads& heads, int64_t row) {
  const int64_t position = heads.first + row % heads.tokens;
  return heads.starts == nullptr || row >= heads.rows ? position : position - heads.starts[row];
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    qk_norm_rope_kernel(Dest<T> y, Dest<float> rstd, const T* __restrict__ x, int64_t x_stride,
                        const float* __restrict__ gain, const float* __restrict__ table, float eps,
                        RopeHeads heads, HeadThreads threads, float inverse_size) {
  constexpr int kPack = kPackOf<T>;
  const HeadPlace place = head_of_thread<T>(threads);
  const int64_t row = int64_t{blockIdx.x} * threads.rows_in_block() + place.row;
  const bool is_head = row < heads.rows && place.head < heads.heads;
  const int size = is_head ? heads.size : 0;
  const T* const x_head = x + row * x_stride + place.head * heads.size;
  const int64_t position = position_of(heads, row);

  const Pack<T, kPack> own = load_pack<kPack, kVector>(x_head, place.first, size);
  float values[kPack];
  rotate<kVector>(values, own, x_head, table + position * heads.rope_dims, place.first, size,
                  heads.rope_dims, 1.0f);
  float sum = 0.0f;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) {
    const float value = static_cast<float>(own.v[i]);
    sum = fmaf(value, value, sum);
  }
  sum = head_sum(sum, threads);
  if (!is_head) return;

  const float r = heads.is_normed ? rsqrtf(fmaf(sum, inverse_size, eps)) : 1.0f;
  if (place.first == 0) store_value(rstd, row * heads.heads + place.head, r);
  if (y.data == nullptr) return;
  const float factor = gain != nullptr ? r * gain[place.head] : r;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) values[i] *= factor;
  T* const y_head = y.data + (row * heads.heads + place.head) * heads.size;
  store_pack<kVector>(y_head, values, place.first, size, y.accumulate);
}

// A block a chunk of rows: what it adds up of dgain is one row of partial sums.
template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    qk_norm_rope_backward_kernel(Dest<T> dx, int64_t dx_stride, float* __restrict__ partial,
                                 const T* __restrict__ dy, const T* __restrict__ x,
                                 int64_t x_stride, const float* __restrict__ rstd,
                                 const float* __restrict__ gain, const float* __restrict__ table,
                                 RopeHeads heads, HeadThreads threads, int64_t chunk_rows,
                                 float inverse_size) {
  __shared__ float sums[kBlockThreads];
  constexpr int kPack = kPackOf<T>;
  const HeadPlace place = head_of_thread<T>(threads);
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows;
  const int64_t end = begin + chunk_rows < heads.rows ? begin + chunk_rows : heads.rows;
  const bool has_head = place.head < heads.heads;
  const float head_gain = gain != nullptr && has_head ? gain[place.head] : 1.0f;
  float gain_sum = 0.0f;
  for (int64_t base = begin; base < end; base += threads.rows_in_block()) {
    const int64_t row = base + place.row;
    const bool is_head = row < end && has_head;
    const int size = is_head ? heads.size : 0;
    const T* const x_head = x + row * x_stride + place.head * heads.size;
    const T* const dy_head = dy + (row * heads.heads + place.head) * heads.size;

    const Pack<T, kPack> x_own = load_pack<kPack, kVector>(x_head, place.first, size);
    const Pack<T, kPack> dy_own = load_pack<kPack, kVector>(dy_head, place.first, size);
    const float r = is_head && heads.is_normed ? rstd[row * heads.heads + place.head] : 1.0f;
    float values[kPack];
    rotate<kVector>(values, dy_own, dy_head, table + position_of(heads, row) * heads.rope_dims,
                    place.first, size, heads.rope_dims, -1.0f);
    float sum = 0.0f;
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) sum = fmaf(values[i], static_cast<float>(x_own.v[i]), sum);
    sum = head_sum(sum, threads);
    gain_sum = fmaf(r, sum, gain_sum);
    if (!is_head || dx.data == nullptr) continue;

    const float projection = heads.is_normed ? r * r * (head_gain * (sum * inverse_size)) : 0.0f;
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const float along = static_cast<float>(x_own.v[i]) * projection;
      values[i] = r * fmaf(head_gain, values[i], -along);
    }
    T* const dx_head = dx.data + row * dx_stride + place.head * heads.size;
    store_pack<kVector>(dx_head, values, place.first, size, dx.accumulate);
  }
  if (partial == nullptr) return;

  // The rows of the block at a time, in order.
  const int in_block = threads.heads_in_block(), thread = static_cast<int>(threadIdx.x);
  if (place.first == 0) sums[thread >> threads.lane_bits] = gain_sum;
  __syncthreads();
  const int head = static_cast<int>(blockIdx.y) * in_block + thread;
  if (thread >= in_block || head >= heads.heads) return;
  float sum = sums[thread];
  for (int i = 1; i < threads.rows_in_block(); ++i) sum += sums[i * in_block + thread];
  partial[int64_t{blockIdx.x} * heads.heads + head] = sum;
}

// Whether halves of the rotation and rows of the table lie in whole packs.
template <class T>
bool has_vector_halves(const float* table, const RopeHeads& heads) {
  return heads.rope_dims == 0 || (heads.rope_dims / 2 % kPackOf<T> == 0 &&
                                  has_vector_rows<kPackOf<float>>(table, heads.rope_dims));
}

}  // namespace qk_norm_rope_kernels

template <class T>
void qk_norm_rope(Dest<T> y, Dest<float> rstd, const T* x, int64_t x_stride, const float* gain,
                  const float* table, float eps, const RopeHeads& heads, Stream stream) {
  if (heads.rows == 0 || (y.data == nullptr && rstd.data == nullptr)) return;
  const bool vector = has_vector_heads(x, heads.size, x_stride) &&
                      has_vector_heads(y.data, heads.size, heads.size) &&
                      has_vector_halves<T>(table, heads);
  const HeadThreads threads = threads_of_heads<T>(heads.heads, heads.size);
  const int64_t groups = (heads.rows + threads.rows_in_block() - 1) / threads.rows_in_block();
  const auto kernel = vector ? &qk_norm_rope_kernel<T, true> : &qk_norm_rope_kernel<T, false>;
  launch(kernel, grid_of_heads(threads, groups, heads.heads), dim3(kBlockThreads), 0, stream, y,
         rstd, x, x_stride, gain, table, eps, heads, threads,
         1.0f / static_cast<float>(heads.size));
}

template <class T>
void qk_norm_rope_backward(Dest<T> dx, int64_t dx_stride, Dest<float> dgain, const T* dy,
                           const T* x, int64_t x_stride, const float* rstd, const float* gain,
                           const float* table, const RopeHeads& heads, float* partial,
                           Stream stream) {
  if (dx.data == nullptr && dgain.data == nullptr) return;
  const bool vector =
      has_vector_heads(x, heads.size, x_stride) && has_vector_heads(dy, heads.size, heads.size) &&
      has_vector_heads(dx.data, heads.size, dx_stride) && has_vector_halves<T>(table, heads);
  const HeadThreads threads = threads_of_heads<T>(heads.heads, heads.size);
  const int64_t chunks = count_row_chunks(heads.rows);
  const auto kernel =
      vector ? &qk_norm_rope_backward_kernel<T, true> : &qk_norm_rope_backward_kernel<T, false>;
  if (chunks > 0) {
    launch(kernel, grid_of_heads(threads, chunks, heads.heads), dim3(kBlockThreads), 0, stream, dx,
           dx_stride, dgain.data != nullptr ? partial : nullptr, dy, x, x_stride, rstd, gain, table,
           heads, threads, rows_per_chunk(heads.rows), 1.0f / static_cast<float>(heads.size));
  }
  sum_chunks<float>(dgain, partial, nullptr, chunks, heads.heads, stream);
}

template void qk_norm_rope<float>(Dest<float>, Dest<float>, const float*, int64_t, const float*,
                                  const float*, float, const RopeHeads&, Stream);
template void qk_norm_rope<bf16>(Dest<bf16>, Dest<float>, const bf16*, int64_t, const float*,
                                 const float*, float, const RopeHeads&, Stream);
template void qk_norm_rope_backward<float>(Dest<float>, int64_t, Dest<float>, const float*,
                                           const float*, int64_t, const float*, const float*,
                                           const float*, const RopeHeads&, float*, Stream);
template void qk_norm_rope_backward<bf16>(Dest<bf16>, int64_t, Dest<float>, const bf16*,
                                          const bf16*, int64_t, const float*, const float*,
                                          const float*, const RopeHeads&, float*, Stream);

}  // namespace pg::kernels
