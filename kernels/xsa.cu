// Bound by memory: the threads of a kv head hold its vector in registers and go through the query
// heads that share it, so that each tensor is read and written once.
#include "kernels/xsa.h"

#include "kernels/dialect.h"
#include "kernels/head_rows.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace xsa_kernels {

constexpr float kMinNorm = 1e-12f;

template <class T, int kPack>
__device__ __forceinline__ float dot(const Pack<T, kPack>& a, const float (&b)[kPack]) {
  float sum = 0.0f;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) sum = fmaf(static_cast<float>(a.v[i]), b[i], sum);
  return sum;
}

// A thread's part of the direction u of a kv head.
template <int kPack>
struct Direction {
  float u[kPack];
  float inverse_norm;
  bool is_unit;  // false: v is too short to be made so
};

template <class T, int kPack>
__device__ __forceinline__ Direction<kPack> direction_of(const Pack<T, kPack>& v,
                                                         const HeadThreads& threads) {
  Direction<kPack> direction;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) direction.u[i] = static_cast<float>(v.v[i]);
  const float norm = sqrtf(head_sum(dot(v, direction.u), threads));
  direction.is_unit = norm > kMinNorm;
  direction.inverse_norm = 1.0f / fmaxf(norm, kMinNorm);
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) direction.u[i] *= direction.inverse_norm;
  return direction;
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    xsa_kernel(Dest<T> y, const T* __restrict__ x, const T* __restrict__ v, XsaHeads heads,
               HeadThreads threads) {
  constexpr int kPack = kPackOf<T>;
  const HeadPlace place = head_of_thread<T>(threads);
  const int64_t row = int64_t{blockIdx.x} * threads.rows_in_block() + place.row;
  const int size = row < heads.rows && place.head < heads.kv_heads ? heads.size : 0;
  const int group = heads.heads / heads.kv_heads;
  const int64_t at = (row * heads.heads + place.head * group) * heads.size;

  const T* const v_head = v + row * heads.v_stride + place.head * heads.size;
  const Direction<kPack> direction =
      direction_of(load_pack<kPack, kVector>(v_head, place.first, size), threads);
  for (int h = 0; h < group; ++h) {
    const T* const x_head = x + at + h * heads.size;
    const Pack<T, kPack> own = load_pack<kPack, kVector>(x_head, place.first, size);
    const float along = head_sum(dot(own, direction.u), threads);
    float values[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      values[i] = fmaf(-along, direction.u[i], static_cast<float>(own.v[i]));
    }
    store_pack<kVector>(y.data + at + h * heads.size, values, place.first, size, y.accumulate);
  }
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    xsa_backward_kernel(Dest<T> dx, Dest<T> dv, int64_t dv_stride, const T* __restrict__ dy,
                        const T* __restrict__ x, const T* __restrict__ v, XsaHeads heads,
                        HeadThreads threads) {
  constexpr int kPack = kPackOf<T>;
  const HeadPlace place = head_of_thread<T>(threads);
  const int64_t row = int64_t{blockIdx.x} * threads.rows_in_block() + place.row;
  const int size = row < heads.rows && place.head < heads.kv_heads ? heads.size : 0;
  const int group = heads.heads / heads.kv_heads;
  const int64_t at = (row * heads.heads + place.head * group) * heads.size;

  const T* const v_head = v + row * heads.v_stride + place.head * heads.size;
  const Direction<kPack> direction =
      direction_of(load_pack<kPack, kVector>(v_head, place.first, size), threads);
  float v_gradient[kPack] = {};
  float along_u = 0.0f;  // sum over the heads of 2 a b
  for (int h = 0; h < group; ++h) {
    const int64_t head_at = at + h * heads.size;
    const Pack<T, kPack> x_own = load_pack<kPack, kVector>(x + head_at, place.first, size);
    const Pack<T, kPack> dy_own = load_pack<kPack, kVector>(dy + head_at, place.first, size);
    const float a = head_sum(dot(dy_own, direction.u), threads);
    const float b = head_sum(dot(x_own, direction.u), threads);
    along_u = fmaf(2.0f * a, b, along_u);
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      v_gradient[i] = fmaf(-a, static_cast<float>(x_own.v[i]), v_gradient[i]);
      v_gradient[i] = fmaf(-b, static_cast<float>(dy_own.v[i]), v_gradient[i]);
    }
    if (dx.data == nullptr) continue;
    float values[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      values[i] = fmaf(-a, direction.u[i], static_cast<float>(dy_own.v[i]));
    }
    store_pack<kVector>(dx.data + head_at, values, place.first, size, dx.accumulate);
  }
  if (dv.data == nullptr) return;
  if (!direction.is_unit) along_u = 0.0f;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) {
    v_gradient[i] = direction.inverse_norm * fmaf(along_u, direction.u[i], v_gradient[i]);
  }
  T* const dv_head = dv.data + row * dv_stride + place.head * heads.size;
  store_pack<kVector>(dv_head, v_gradient, place.first, size, dv.accumulate);
}

}  // namespace xsa_kernels

template <class T>
void xsa(Dest<T> y, const T* x, const T* v, const XsaHeads& heads, Stream stream) {
  if (heads.rows == 0 || y.data == nullptr) return;
  const bool vector = has_vector_heads(x, heads.size, heads.size) &&
                      has_vector_heads(v, heads.size, heads.v_stride) &&
                      has_vector_heads(y.data, heads.size, heads.size);
  const HeadThreads threads = threads_of_heads<T>(heads.kv_heads, heads.size);
  const int64_t groups = (heads.rows + threads.rows_in_block() - 1) / threads.rows_in_block();
  launch(vector ? &xsa_kernel<T, true> : &xsa_kernel<T, false>,
         grid_of_heads(threads, groups, heads.kv_heads), dim3(kBlockThreads), 0, stream, y, x, v,
         heads, threads);
}

template <class T>
void xsa_backward(Dest<T> dx, Dest<T> dv, int64_t dv_stride, const T* dy, const T* x, const T* v,
                  const XsaHeads& heads, Stream stream) {
  if (heads.rows == 0 || (dx.data == nullptr && dv.data == nullptr)) return;
  const bool vector = has_vector_heads(x, heads.size, heads.size) &&
                      has_vector_heads(dy, heads.size, heads.size) &&
                      has_vector_heads(v, heads.size, heads.v_stride) &&
                      has_vector_heads(dx.data, heads.size, heads.size) &&
                      has_vector_heads(dv.data, heads.size, dv_stride);
  const HeadThreads threads = threads_of_heads<T>(heads.kv_heads, heads.size);
  const int64_t groups = (heads.rows + threads.rows_in_block() - 1) / threads.rows_in_block();
  launch(vector ? &xsa_backward_kernel<T, true> : &xsa_backward_kernel<T, false>,
         grid_of_heads(threads, groups, heads.kv_heads), dim3(kBlockThreads), 0, stream, dx, dv,
         dv_stride, dy, x, v, heads, threads);
}

template void xsa<float>(Dest<float>, const float*, const float*, const XsaHeads&, Stream);
template void xsa<bf16>(Dest<bf16>, const bf16*, const bf16*, const XsaHeads&, Stream);
template void xsa_backward<float>(Dest<float>, Dest<float>, int64_t, const float*, const float*,
                                  const float*, const XsaHeads&, Stream);
template void xsa_backward<bf16>(Dest<bf16>, Dest<bf16>, int64_t, const bf16*, const bf16*,
                                 const bf16*, const XsaHeads&, Stream);

}  // namespace pg::kernels
