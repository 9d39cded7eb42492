// Causal grouped-query attention, forward and backward (FlashAttention-2, Dao 2023): never builds
// a T x T tensor. T is float or bf16; sums and softmax are f32; bf16 probabilities and their
// gradients are rounded to bf16 before they are multiplied. Heads of 16, 32, 64 and 128 bf16 run on
// tensor cores, others by attention_plain.cu. No atomics: every output element is the sum, in a
// fixed order, of one block. Verified on the host (executor, nvcc and ptxas compile).
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// Query head h reads key head h / (heads / kv_heads). Queries stand at positions first, first + 1,
// ... of their first + tokens keys. With `starts`, of packed sequences, first is 0 and query t of a
// sequence of the batch sees keys from starts[t] on, which never falls from query to query.
struct AttentionSizes {
  int64_t batch = 0, tokens = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t first = 0;
  float scale = 1.0f;               // of the scores
  const int32_t* starts = nullptr;  // [B*T] of device memory, or null: 0
  int64_t keys() const { return first + tokens; }
};

// In bf16, rows of the inputs start at multiples of 16 bytes (dense_rows.h).
// y[B*T, H*S] = softmax_causal(scale q kT) v; lse[B, H, T] = log sum exp of the scaled scores, nats.
// q [B*T, H*S], k [B*keys, K*S]; rows of v [B*keys, K*S] lie v_stride elements apart.
template <class T>
void attention(Dest<T> y, Dest<float> lse, const T* q, const T* k, const T* v, int64_t v_stride,
               const AttentionSizes& sizes, Stream stream);

// With p = exp(scale q kT - lse), delta_t = dy_t . y_t, ds = p (dy vT - delta):
//   dq = scale ds k; dk = scale dsT q; dv = pT dy, over all query heads of a key head.
// All queries: sizes.first is 0. delta: working memory, f32 [B, H, T].
template <class T>
void attention_backward(Dest<T> dq, Dest<T> dk, Dest<T> dv, int64_t dv_stride, const T* dy,
                        const T* y, const float* lse, const T* q, const T* k, const T* v,
                        int64_t v_stride, float* delta, const AttentionSizes& sizes, Stream stream);

}  // namespace pg::kernels
