// The instruction sets of cpu_tile_loops.inc but for AVX-512. Targets are attributes of functions, so
// that one program holds every kernel whatever flags it is compiled with.
#include "src/device/cpu/cpu_tile_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "src/base/check.h"
#include "src/device/exact/exact_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pg {
namespace {

namespace generic {
#define PG_TARGET
#define PG_LANES inline
constexpr TileIsa kIsa = TileIsa::kGeneric;
#include "src/device/cpu/cpu_lanes_generic.inc"
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
constexpr TileIsa kIsa = TileIsa::kAvx2;
#include "src/device/cpu/cpu_lanes_avx2.inc"
#include "src/device/cpu/cpu_tile_floats.inc"
#include "src/device/cpu/cpu_tile_gather.inc"
#include "src/device/cpu/cpu_tile_loops.inc"
#undef PG_LANES
#undef PG_TARGET
}  // namespace avx2

const TileKernel* find_tile_kernel(TileIsa isa) {
  switch (isa) {
    case TileIsa::kAvx512Bf16:
      return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
                 ? avx512_bf16_tile_kernel()
                 : nullptr;
    case TileIsa::kAvx512:
      return has_exact_isa(ExactIsa::kAvx512) ? avx512_tile_kernel() : nullptr;
    case TileIsa::kAvx2:
      return has_exact_isa(ExactIsa::kAvx2) ? &avx2::kKernel : nullptr;
    default:
      return &generic::kKernel;
  }
}
#else
const TileKernel* find_tile_kernel(TileIsa isa) {
  return isa == TileIsa::kGeneric ? &generic::kKernel : nullptr;
}
#endif

}  // namespace

bool has_tile_isa(TileIsa isa) { return find_tile_kernel(isa) != nullptr; }

const TileKernel& tile_kernel(TileIsa isa) {
  PG_CHECK(has_tile_isa(isa), "this processor lacks the instructions asked for");
  return *find_tile_kernel(isa);
}

}  // namespace pg
