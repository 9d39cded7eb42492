// The kernels of pairs of bf16, by AVX-512.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "kernels/bf16.h"
#include "src/device/cpu/cpu_tile_kernels.h"
#include "src/device/cpu/gradient/cpu_tile_gradients.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace pg {
namespace {

#define PG_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#include "src/device/cpu/avx512/cpu_lanes_avx512.inc"
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
constexpr TileIsa kIsa = TileIsa::kAvx512Bf16;
using Unit = uint32_t;
using Element = bf16;
using Units = __m512i;
constexpr bool kPairs = true;
PG_LANES Units load_units(const uint32_t* from) { return _mm512_loadu_si512(from); }
PG_LANES Units broadcast_unit(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
PG_LANES Vector dot(Vector sum, Units x, Units y) {
  return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)y);
}
// Of two rows, the elements of one column side by side.
PG_TARGET void pack_step(uint32_t* to, const bf16* x, int64_t cols, int64_t next) {
  constexpr int64_t kTwo = 2 * kTileLanes;
  // Unpacking works within 128 bits: these blocks of 64 bits lie where it takes them from.
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  int64_t i = 0;
  for (; i + kTwo <= cols; i += kTwo) {
    const __m512i low = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(x + i));
    const __m512i high = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(x + next + i));
    _mm512_storeu_si512(to + i, _mm512_unpacklo_epi16(low, high));
    _mm512_storeu_si512(to + i + kTileLanes, _mm512_unpackhi_epi16(low, high));
  }
  for (; i < cols; ++i) to[i] = x[i].bits | static_cast<uint32_t>(x[next + i].bits) << 16;
}
PG_LANES void store_elements(bf16* to, Vector x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(x));
}
PG_LANES void store_row_pair(uint32_t* to, int64_t, Vector x, Vector y) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(y, x)));
}
// 2^x = 2^r 2^floor(x), r in [0, 1), and a polynomial for 2^r (minimax, relative error 8e-8). Each
// step of it goes over all vectors: their chains then wait for each other's operations instead of
// their own.
template <int kCount>
PG_TARGET inline void exp2_lanes(Vector (&x)[kCount]) {
  constexpr int kMinusFloor = 0x09;
  constexpr float kTerms[] = {8.98933969e-3f, 5.58263175e-2f, 2.40153611e-1f, 6.93153083e-1f,
                              0.99999994f};
  Vector r[kCount], p[kCount];
  for (int v = 0; v < kCount; ++v) r[v] = _mm512_reduce_ps(x[v], kMinusFloor);
  for (int v = 0; v < kCount; ++v) p[v] = set1(1.87757669e-3f);
  for (const float term : kTerms) {
    for (int v = 0; v < kCount; ++v) p[v] = multiply_add(p[v], r[v], set1(term));
  }
  for (int v = 0; v < kCount; ++v) x[v] = _mm512_scalef_ps(p[v], x[v]);
}
#include "src/device/cpu/cpu_tile_loops.inc"
#include "src/device/cpu/gradient/cpu_tile_gradient_loops.inc"
#undef PG_LANES
#undef PG_TARGET

}  // namespace

const TileKernel* avx512_bf16_tile_kernel() { return &kKernel; }
const TileGradients& avx512_bf16_tile_gradients() { return kGradients; }

}  // namespace pg
#endif
