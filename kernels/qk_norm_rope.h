// RMSNorm of each head of queries or keys (Henry et al. 2020), rotary positions (Su et al. 2021) on
// its first dimensions and a gain per head, in one pass; forward and backward. T is float or bf16,
// arithmetic is f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

inline constexpr int64_t kMaxHeadBytes = 512;  // 16 in each thread of a warp

// Of [rows, heads*size]; row i stands at position first + i % tokens, of packed sequences starts[i]
// less. R = rope_dims is even.
struct RopeHeads {
  int64_t rows, tokens, first;
  int heads, size, rope_dims;
  bool is_normed;         // false: r is 1
  const int32_t* starts;  // [rows] of device memory, or null
};

// Per head: r = 1/sqrt(mean(x^2) + eps), y = gain r rope(x), with h = R/2
//   rope(x)_i = x_i c + x_{i+h} s, rope(x)_{i+h} = x_{i+h} c - x_i s, (c, s) = table[position, i, 0..1].
// rstd[rows, heads] = r; gain [heads], null counts as ones; table [positions, R/2, 2]. x's rows lie
// x_stride elements apart. size: at most kMaxHeadBytes.
template <class T>
void qk_norm_rope(Dest<T> y, Dest<float> rstd, const T* x, int64_t x_stride, const float* gain,
                  const float* table, float eps, const RopeHeads& heads, Stream stream);

// With d = rope^-1(dy), at positions from 0 on: dx = r (gain d - x r^2 mean(gain d x)); dgain[heads]
// = sum over rows of r d.x. r = rstd, or 1 without a norm, and then no mean. dx's rows lie dx_stride
// apart. partial: f32 [count_row_chunks(rows), heads] of working memory (column_sums.h), used where
// dgain is asked for.
template <class T>
void qk_norm_rope_backward(Dest<T> dx, int64_t dx_stride, Dest<float> dgain, const T* dy,
                           const T* x, int64_t x_stride, const float* rstd, const float* gain,
                           const float* table, const RopeHeads& heads, float* partial,
                           Stream stream);

}  // namespace pg::kernels
