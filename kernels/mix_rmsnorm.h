// The mix of two streams, y = a x + b z with a factor per channel, and the RMSNorm of it, in one pass;
// forward and backward. T is float or bf16, arithmetic is f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// Streams [rows, dim]; null z counts as zeros, null a or b [dim] as ones.
template <class T>
struct MixStreams {
  const T* x;
  const float* a;
  const T* z;
  const float* b;
  int64_t rows, dim;
};

// y[rows, dim] = a x + b z rounded to T; with r = 1/sqrt(mean(y^2) + eps) of that, n[rows, dim] =
// scale r y and rstd[rows] = r.
template <class T>
void mix_rmsnorm(Dest<T> y, Dest<T> n, Dest<float> rstd, const MixStreams<T>& streams, float scale,
                 float eps, Stream stream);

// Rows that mix_rmsnorm_backward takes: its sums over rows stay in registers.
inline constexpr int64_t kMaxMixRowBytes = 16384;

template <class T>
struct MixGradients {
  Dest<T> dx, dz;
  Dest<float> da, db;
};

// With r = rstd[row], y = a x + b z in f32 and g = dy + scale r (dn - y r^2 mean(dn y)), where a null
// dy counts as zeros: dx = a g, dz = b g, and sums over rows da[dim] of g x, db[dim] of g z. partial:
// f32 [2, count_row_chunks(rows), dim] of working memory (column_sums.h), used where da or db is
// asked for.
template <class T>
void mix_rmsnorm_backward(const MixGradients<T>& gradients, const T* dy, const T* dn,
                          const MixStreams<T>& streams, const float* rstd, float scale,
                          float* partial, Stream stream);

}  // namespace pg::kernels
