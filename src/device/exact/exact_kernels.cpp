// The instruction sets of exact_tile.inc. Targets are attributes of functions, so that one program
// holds every kernel whatever flags it is compiled with.
#include "src/device/exact/exact_kernels.h"

#include <cmath>
#include <cstddef>
#include <utility>

#include "src/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pg {
namespace {

// Loops over lanes that a compiler may turn into the vectors it has.
namespace exact_generic {
#define PG_TARGET
struct Vector {
  float lane[4];
};
constexpr int64_t kLanes = 4, kRows = 4;
inline Vector load(const float* from) { return {from[0], from[1], from[2], from[3]}; }
inline Vector broadcast(float x) { return {x, x, x, x}; }
inline void store(float* to, const Vector& x) {
  for (int64_t i = 0; i < kLanes; ++i) to[i] = x.lane[i];
}
inline Vector operator+(Vector x, const Vector& y) {
  for (int64_t i = 0; i < kLanes; ++i) x.lane[i] += y.lane[i];
  return x;
}
inline Vector fma(const Vector& x, const Vector& y, Vector z) {
  for (int64_t i = 0; i < kLanes; ++i) z.lane[i] = std::fma(x.lane[i], y.lane[i], z.lane[i]);
  return z;
}
#include "src/device/exact/exact_tile.inc"
#undef PG_TARGET
}  // namespace exact_generic

#if defined(__x86_64__)
namespace exact_avx2 {
#define PG_TARGET __attribute__((target("avx2,fma")))
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
using Vector = __m256;
// 12 accumulators, two vectors of B and one number of A: 15 of 16 registers.
constexpr int64_t kLanes = 8, kRows = 6;
PG_LANES Vector load(const float* from) { return _mm256_loadu_ps(from); }
PG_LANES void store(float* to, Vector x) { _mm256_storeu_ps(to, x); }
PG_LANES Vector broadcast(float x) { return _mm256_set1_ps(x); }
PG_LANES Vector fma(Vector x, Vector y, Vector z) { return _mm256_fmadd_ps(x, y, z); }
#include "src/device/exact/exact_tile.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace exact_avx2

namespace exact_avx512 {
#define PG_TARGET __attribute__((target("avx512f,fma")))
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
using Vector = __m512;
// 16 accumulators hide the latency of two multiply-adds a cycle; 10 to 14 rows measure the same.
constexpr int64_t kLanes = 16, kRows = 8;
PG_LANES Vector load(const float* from) { return _mm512_loadu_ps(from); }
PG_LANES void store(float* to, Vector x) { _mm512_storeu_ps(to, x); }
PG_LANES Vector broadcast(float x) { return _mm512_set1_ps(x); }
PG_LANES Vector fma(Vector x, Vector y, Vector z) { return _mm512_fmadd_ps(x, y, z); }
#include "src/device/exact/exact_tile.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace exact_avx512

bool has_vectors(ExactIsa isa) {
  if (isa == ExactIsa::kAvx512) return __builtin_cpu_supports("avx512f");
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
const ExactKernel& find_kernel(ExactIsa isa) {
  return isa == ExactIsa::kAvx512 ? exact_avx512::kKernel : exact_avx2::kKernel;
}
#else
bool has_vectors(ExactIsa) { return false; }
const ExactKernel& find_kernel(ExactIsa) { return exact_generic::kKernel; }
#endif

}  // namespace

bool has_exact_isa(ExactIsa isa) { return isa == ExactIsa::kGeneric || has_vectors(isa); }

const ExactKernel& exact_kernel(ExactIsa isa) {
  PG_CHECK(has_exact_isa(isa), "this processor lacks the instructions asked for");
  return isa == ExactIsa::kGeneric ? exact_generic::kKernel : find_kernel(isa);
}

}  // namespace pg
