// Attention without tensor cores, for f32 and for any head size; products of f32. Formulas as in
// attention.h.
#pragma once
#include "kernels/attention.h"

namespace pg::kernels {

inline constexpr int64_t kMaxPlainHeadDim = 256;  // what shared memory has room for

// Whether bf16 heads of this kind run on tensor cores: there the largest score is looked for before
// the scale.
inline bool has_tensor_core_path(const AttentionSizes& sizes) {
  const int64_t dim = sizes.head_dim;
  return (dim == 16 || dim == 32 || dim == 64 || dim == 128) && sizes.scale > 0.0f;
}

template <class T>
void attention_plain(Dest<T> y, Dest<float> lse, const T* q, const T* k, const T* v,
                     int64_t v_stride, const AttentionSizes& sizes, Stream stream);

// delta[B, H, T] = dy . y per head is given.
template <class T>
void attention_backward_plain(Dest<T> dq, Dest<T> dk, Dest<T> dv, int64_t dv_stride, const T* dy,
                              const float* lse, const T* q, const T* k, const T* v,
                              int64_t v_stride, const float* delta, const AttentionSizes& sizes,
                              Stream stream);

}  // namespace pg::kernels
