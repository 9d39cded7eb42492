// The instruction sets of cpu_tile_loops.inc. Targets are attributes of functions, so that one
// program holds every kernel whatever flags it is compiled with.
#include "src/device/cpu/cpu_tile_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "kernels/bf16.h"
#include "src/base/check.h"
#include "src/device/exact/exact_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pg {
namespace {

// Loops over lanes that a compiler may turn into the vectors it has.
namespace generic {
#define PG_TARGET
#define PG_LANES inline
struct Vector {
  float lane[kTileLanes];
};
constexpr int kVectors = 1;

template <class Function>
Vector map_lanes(const Function& function) {
  Vector out;
  for (int64_t i = 0; i < kTileLanes; ++i) out.lane[i] = function(i);
  return out;
}
inline Vector load(const float* from) {
  return map_lanes([=](int64_t i) { return from[i]; });
}
inline void store(float* to, const Vector& x) {
  for (int64_t i = 0; i < kTileLanes; ++i) to[i] = x.lane[i];
}
inline Vector set1(float x) {
  return map_lanes([=](int64_t) { return x; });
}
inline Vector zero() { return set1(0.0f); }
inline Vector add(const Vector& x, const Vector& y) {
  return map_lanes([&](int64_t i) { return x.lane[i] + y.lane[i]; });
}
inline Vector subtract(const Vector& x, const Vector& y) {
  return map_lanes([&](int64_t i) { return x.lane[i] - y.lane[i]; });
}
inline Vector multiply(const Vector& x, const Vector& y) {
  return map_lanes([&](int64_t i) { return x.lane[i] * y.lane[i]; });
}
inline Vector multiply_add(const Vector& x, const Vector& y, const Vector& z) {
  return map_lanes([&](int64_t i) { return std::fma(x.lane[i], y.lane[i], z.lane[i]); });
}
// As the instructions do: the second where either is a NaN.
inline Vector larger(const Vector& x, const Vector& y) {
  return map_lanes([&](int64_t i) { return x.lane[i] > y.lane[i] ? x.lane[i] : y.lane[i]; });
}
inline Vector smaller(const Vector& x, const Vector& y) {
  return map_lanes([&](int64_t i) { return x.lane[i] < y.lane[i] ? x.lane[i] : y.lane[i]; });
}
// x 2^n, n in the low bits of `shifted`.
inline Vector add_exponents(const Vector& x, const Vector& shifted) {
  return map_lanes([&](int64_t i) {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(x.lane[i]) +
                                (std::bit_cast<uint32_t>(shifted.lane[i]) << 23));
  });
}
inline Vector zero_below(const Vector& y, const Vector& x, const Vector& least) {
  return map_lanes([&](int64_t i) { return x.lane[i] < least.lane[i] ? 0.0f : y.lane[i]; });
}
inline Vector keep_lanes(const Vector& x, int64_t count) {
  return map_lanes([&](int64_t i) { return i < count ? x.lane[i] : 0.0f; });
}
inline float largest_lane(Vector x) {
  for (int64_t half = kTileLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) {
      x.lane[i] = x.lane[i] > x.lane[i + half] ? x.lane[i] : x.lane[i + half];
    }
  }
  return x.lane[0];
}
inline float sum_lanes(Vector x) {
  for (int64_t half = kTileLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) x.lane[i] += x.lane[i + half];
  }
  return x.lane[0];
}
inline float first_lane(const Vector& x) { return x.lane[0]; }
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/cpu_tile_gather.inc"
#include "src/device/cpu/cpu_tile_loops.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace generic

#if defined(__x86_64__)
namespace avx2 {
#define PG_TARGET __attribute__((target("avx2,fma")))
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
struct Vector {
  __m256 low, high;
};
constexpr int kVectors = 1;  // 6 rows of two registers, two of B and one of A: 15 of 16
constexpr int64_t kHalf = 8;
PG_LANES Vector load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + kHalf)};
}
PG_LANES void store(float* to, const Vector& x) {
  _mm256_storeu_ps(to, x.low);
  _mm256_storeu_ps(to + kHalf, x.high);
}
PG_LANES Vector set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
PG_LANES Vector zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
PG_LANES Vector add(const Vector& x, const Vector& y) {
  return {_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)};
}
PG_LANES Vector subtract(const Vector& x, const Vector& y) {
  return {_mm256_sub_ps(x.low, y.low), _mm256_sub_ps(x.high, y.high)};
}
PG_LANES Vector multiply(const Vector& x, const Vector& y) {
  return {_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)};
}
PG_LANES Vector multiply_add(const Vector& x, const Vector& y, const Vector& z) {
  return {_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
}
PG_LANES Vector larger(const Vector& x, const Vector& y) {
  return {_mm256_max_ps(x.low, y.low), _mm256_max_ps(x.high, y.high)};
}
PG_LANES Vector smaller(const Vector& x, const Vector& y) {
  return {_mm256_min_ps(x.low, y.low), _mm256_min_ps(x.high, y.high)};
}
PG_LANES __m256 add_exponents(__m256 x, __m256 shifted) {
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x),
                                              _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
}
PG_LANES Vector add_exponents(const Vector& x, const Vector& shifted) {
  return {add_exponents(x.low, shifted.low), add_exponents(x.high, shifted.high)};
}
PG_LANES Vector zero_below(const Vector& y, const Vector& x, const Vector& least) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(x.low, least.low, _CMP_LT_OQ), y.low),
          _mm256_andnot_ps(_mm256_cmp_ps(x.high, least.high, _CMP_LT_OQ), y.high)};
}
PG_LANES __m256 keep_lanes(__m256 x, int64_t count) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const auto most = static_cast<int>(std::clamp<int64_t>(count, 0, kHalf));
  return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(most), lanes)));
}
PG_LANES Vector keep_lanes(const Vector& x, int64_t count) {
  return {keep_lanes(x.low, count), keep_lanes(x.high, count - kHalf)};
}
PG_LANES float largest_lane(const Vector& x) {
  const __m256 eight = _mm256_max_ps(x.low, x.high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ps(two, _mm_movehdup_ps(two)));
}
PG_LANES float sum_lanes(const Vector& x) {
  const __m256 eight = _mm256_add_ps(x.low, x.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ps(two, _mm_movehdup_ps(two)));
}
PG_LANES float first_lane(const Vector& x) { return _mm256_cvtss_f32(x.low); }
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/cpu_tile_gather.inc"
#include "src/device/cpu/cpu_tile_loops.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace avx2

namespace avx512_lanes {
#define PG_LANES __attribute__((target("avx512f"), always_inline)) inline
using Vector = __m512;
constexpr int kVectors = 4;  // 6 rows of four registers, four of B and one of A: 29 of 32
PG_LANES Vector load(const float* from) { return _mm512_loadu_ps(from); }
PG_LANES void store(float* to, Vector x) { _mm512_storeu_ps(to, x); }
PG_LANES Vector set1(float x) { return _mm512_set1_ps(x); }
PG_LANES Vector zero() { return _mm512_setzero_ps(); }
PG_LANES Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
PG_LANES Vector subtract(Vector x, Vector y) { return _mm512_sub_ps(x, y); }
PG_LANES Vector multiply(Vector x, Vector y) { return _mm512_mul_ps(x, y); }
PG_LANES Vector multiply_add(Vector x, Vector y, Vector z) { return _mm512_fmadd_ps(x, y, z); }
PG_LANES Vector larger(Vector x, Vector y) { return _mm512_max_ps(x, y); }
PG_LANES Vector smaller(Vector x, Vector y) { return _mm512_min_ps(x, y); }
PG_LANES Vector add_exponents(Vector x, Vector shifted) {
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x),
                                              _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
}
PG_LANES Vector zero_below(Vector y, Vector x, Vector least) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ), y);
}
PG_LANES Vector keep_lanes(Vector x, int64_t count) {
  const auto most = static_cast<unsigned>(std::clamp<int64_t>(count, 0, kTileLanes));
  return _mm512_maskz_mov_ps(static_cast<__mmask16>((1u << most) - 1), x);
}
PG_LANES float largest_lane(Vector x) { return _mm512_reduce_max_ps(x); }
// Halves join as in the other sets, where _mm512_reduce_add_ps leaves the order to the compiler.
PG_LANES float sum_lanes(Vector x) {
  const Vector eight = _mm512_add_ps(x, _mm512_shuffle_f32x4(x, x, 0x0e));
  const __m128 four = _mm_add_ps(_mm512_castps512_ps128(eight), _mm512_extractf32x4_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ps(two, _mm_movehdup_ps(two)));
}
PG_LANES float first_lane(Vector x) { return _mm512_cvtss_f32(x); }

// to[j kTilePanel + i] = from[i stride + j] of 16 x 16 units.
PG_LANES void transpose_units(void* to, const void* from, int64_t stride) {
  __m512i x[kTileLanes], y[kTileLanes];
  for (int64_t i = 0; i < kTileLanes; ++i) {
    x[i] = _mm512_loadu_si512(static_cast<const uint32_t*>(from) + i * stride);
  }
  for (int64_t i = 0; i < kTileLanes; i += 2) {  // pairs of rows: units of 64 bits
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int64_t i = 0; i < kTileLanes; i += 4) {  // four rows: blocks of 128 bits
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  // x[4 r + c] has in block b column 4 b + c of rows 4 r to 4 r + 3: transpose the blocks.
  constexpr int kEven = 0x88, kOdd = 0xdd;  // blocks 0 and 2, 1 and 3 of each operand
  for (int64_t c = 0; c < 4; ++c) {
    const __m512i low_even = _mm512_shuffle_i32x4(x[c], x[4 + c], kEven);
    const __m512i low_odd = _mm512_shuffle_i32x4(x[c], x[4 + c], kOdd);
    const __m512i high_even = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], kEven);
    const __m512i high_odd = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], kOdd);
    y[c] = _mm512_shuffle_i32x4(low_even, high_even, kEven);
    y[4 + c] = _mm512_shuffle_i32x4(low_odd, high_odd, kEven);
    y[8 + c] = _mm512_shuffle_i32x4(low_even, high_even, kOdd);
    y[12 + c] = _mm512_shuffle_i32x4(low_odd, high_odd, kOdd);
  }
  for (int64_t j = 0; j < kTileLanes; ++j) {
    _mm512_storeu_si512(static_cast<uint32_t*>(to) + j * kTilePanel, y[j]);
  }
}

__attribute__((target("avx512f"))) void pack_columns(void* to, const void* x, int64_t rows,
                                                     int64_t units, int64_t stride) {
  for (int64_t row = 0; row < rows; row += kTileLanes) {
    uint32_t* const panel =
        static_cast<uint32_t*>(to) + row / kTilePanel * kTilePanel * units + row % kTilePanel;
    for (int64_t unit = 0; unit < units; unit += kTileLanes) {
      transpose_units(panel + unit * kTilePanel,
                      static_cast<const uint32_t*>(x) + row * stride + unit, stride);
    }
  }
}
#undef PG_LANES
}  // namespace avx512_lanes

namespace avx512 {
#define PG_TARGET __attribute__((target("avx512f")))
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
using namespace avx512_lanes;
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/cpu_tile_loops.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace avx512

namespace avx512_bf16 {
#define PG_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
using namespace avx512_lanes;
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
#undef PG_LANES
#undef PG_TARGET
}  // namespace avx512_bf16

bool has(TileIsa isa) {
  switch (isa) {
    case TileIsa::kAvx512Bf16:
      return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case TileIsa::kAvx512:
      return has_exact_isa(ExactIsa::kAvx512);
    default:
      return has_exact_isa(ExactIsa::kAvx2);
  }
}
const TileKernel& find(TileIsa isa) {
  if (isa == TileIsa::kAvx512Bf16) return avx512_bf16::kKernel;
  return isa == TileIsa::kAvx512 ? avx512::kKernel : avx2::kKernel;
}
#else
bool has(TileIsa) { return false; }
const TileKernel& find(TileIsa) { return generic::kKernel; }
#endif

}  // namespace

bool has_tile_isa(TileIsa isa) { return isa == TileIsa::kGeneric || has(isa); }

const TileKernel& tile_kernel(TileIsa isa) {
  PG_CHECK(has_tile_isa(isa), "this processor lacks the instructions asked for");
  return isa == TileIsa::kGeneric ? generic::kKernel : find(isa);
}

}  // namespace pg
