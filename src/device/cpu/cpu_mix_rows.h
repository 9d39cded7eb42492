// The mix of two streams, row by row.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/bf16.h"

namespace pg::cpu {

// A row of both streams and its factors: the value of their mix at i.
template <class T>
struct MixRow {
  const T *x, *z;
  const float *a, *b;

  float operator()(int64_t i) const {
    return std::fma(a[i], static_cast<float>(x[i]), b[i] * static_cast<float>(z[i]));
  }
};

template <class T>
struct Streams {
  const T *x, *z;      // [rows, dim]
  const float *a, *b;  // [dim]
  int64_t dim;

  MixRow<T> row(int64_t row) const { return {x + row * dim, z + row * dim, a, b}; }
};

// Rows that stay in L1 between the loops over them.
inline constexpr int64_t kBlockRows = 8;

// y[count, dim] = the mix from row `begin` on, r[count] = inverse_rms of its rows: the pass over
// bf16, in bf16/.
void mix_rows(bf16* y, float* r, const Streams<bf16>& streams, float eps, int64_t begin,
              int64_t count);

}  // namespace pg::cpu
