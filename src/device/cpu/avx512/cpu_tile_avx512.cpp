// The kernels of floats by AVX-512.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "src/device/cpu/cpu_tile_kernels.h"
#include "src/device/cpu/gradient/cpu_tile_gradients.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace pg {
namespace {

#define PG_TARGET __attribute__((target("avx512f")))
#include "src/device/cpu/avx512/cpu_lanes_avx512.inc"
#define PG_LANES PG_TARGET __attribute__((always_inline)) inline
constexpr TileIsa kIsa = TileIsa::kAvx512;
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/cpu_tile_loops.inc"
#include "src/device/cpu/gradient/cpu_tile_gradient_loops.inc"
#undef PG_LANES
#undef PG_TARGET

}  // namespace

const TileKernel* avx512_tile_kernel() { return &kKernel; }
const TileGradients& avx512_tile_gradients() { return kGradients; }

}  // namespace pg
#endif
