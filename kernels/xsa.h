// Exclusive self-attention: what attention gives a token without its part along the token's own
// value; forward and backward. T is float or bf16, arithmetic is f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

inline constexpr int64_t kMaxXsaHeadBytes = 512;  // 16 in each thread of a warp

// x [rows, heads*size], v [rows, kv_heads*size] with rows v_stride apart; query head h goes with kv
// head h / (heads / kv_heads).
struct XsaHeads {
  int64_t rows, v_stride;
  int heads, kv_heads, size;
};

// y = x - (x.u) u per query head, u = v / max(|v|, 1e-12). size: at most kMaxXsaHeadBytes.
template <class T>
void xsa(Dest<T> y, const T* x, const T* v, const XsaHeads& heads, Stream stream);

// With a = dy.u and b = x.u: dx = dy - a u; dv, rows dv_stride apart, = sum over the query heads of v
// of (2 a b u - a x - b dy) / |v|, without its first term where |v| is below 1e-12.
template <class T>
void xsa_backward(Dest<T> dx, Dest<T> dv, int64_t dv_stride, const T* dy, const T* x, const T* v,
                  const XsaHeads& heads, Stream stream);

}  // namespace pg::kernels
