// The instruction sets of cpu_tile_gradient_loops.inc but for AVX-512.
#include "src/device/cpu/gradient/cpu_tile_gradients.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pg {
namespace {

namespace gradient_generic {
#define PG_TARGET
#define PG_LANES inline
#include "src/device/cpu/cpu_lanes_generic.inc"
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/gradient/cpu_tile_gradient_loops.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace gradient_generic

#if defined(__x86_64__)
namespace gradient_avx2 {
#define PG_TARGET __attribute__((target("avx2,fma")))
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
#include "src/device/cpu/cpu_lanes_avx2.inc"
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/gradient/cpu_tile_gradient_loops.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace gradient_avx2
#endif

}  // namespace

const TileGradients& tile_gradients(TileIsa isa) {
#if defined(__x86_64__)
  if (isa == TileIsa::kAvx512Bf16) return avx512_bf16_tile_gradients();
  if (isa == TileIsa::kAvx512) return avx512_tile_gradients();
  if (isa == TileIsa::kAvx2) return gradient_avx2::kGradients;
#endif
  (void)isa;
  return gradient_generic::kGradients;
}

}  // namespace pg
