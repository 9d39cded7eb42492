// CUDA's names for host compilers, on top of the fiber executor: what dialect.h means outside nvcc.
// Semantics follow the CUDA C++ Programming Guide 13; what it calls undefined fails the launch.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/simt/simt_executor.h"
#include "kernels/simt/simt_tensor_core.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define PG_UNROLL
#define PG_DYN_SHARED(T, name) T* name = static_cast<T*>(::pg::simt::dynamic_shared())

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

namespace pg::kernels {

// The stream is for who records: every other launch has run when it returns.
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes,
            ::CUstream_st* stream, Args... args) {
  static_assert((size_t{0} + ... + sizeof(Params)) <= 4096, "kernel parameters pass 4 KiB");
  const std::tuple<Params...> bound(static_cast<Params>(args)...);
  if (simt::ScopedRecorder* const recorder = simt::launch_recorder()) {
    recorder->add_launch(
        [=] {
          std::apply(
              [&](const Params&... values) {
                launch(kernel, grid, block, shared_bytes, nullptr, values...);
              },
              bound);
        },
        reinterpret_cast<const void*>(kernel), stream);
    return;
  }
  if (simt::KernelSubstitute* const substitute = simt::kernel_substitute()) {
    const auto as_arguments = [](const Params&... values) {
      return std::array<simt::KernelArgument, sizeof...(Params)>{{{&values, sizeof values}...}};
    };
    substitute->launch(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes,
                       std::apply(as_arguments, bound));
    return;
  }
  auto call = [&] { std::apply(kernel, bound); };
  simt::run_grid(
      grid, block, shared_bytes, [](void* context) { (*static_cast<decltype(call)*>(context))(); },
      &call);
}

inline uint4 load_16_bytes(const void* from, simt::Site site = simt::Site::here()) {
  simt::check_16_byte_address(from, site);
  uint4 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
inline void store_16_bytes(void* to, uint4 value, simt::Site site = simt::Site::here()) {
  simt::check_16_byte_address(to, site);
  std::memcpy(to, &value, sizeof value);
}
inline void store_16_bytes_to_global(void* to, uint4 value, simt::Site site = simt::Site::here()) {
  store_16_bytes(to, value, site);
}

template <class T>
T round_to(float value) {
  return T(value);
}

inline float add_rounded(float a, float b) { return a + b; }
inline float exp2_approx(float x) { return std::exp2(x); }

}  // namespace pg::kernels

// ---- barriers -------------------------------------------------------------------------------

inline void __syncthreads(pg::simt::Site site = pg::simt::Site::here()) {
  pg::simt::block_barrier(false, site);
}
inline int __syncthreads_count(int predicate, pg::simt::Site site = pg::simt::Site::here()) {
  return pg::simt::block_barrier(predicate != 0, site);
}
inline int __syncthreads_or(int predicate, pg::simt::Site site = pg::simt::Site::here()) {
  return pg::simt::block_barrier(predicate != 0, site) != 0;
}
inline int __syncthreads_and(int predicate, pg::simt::Site site = pg::simt::Site::here()) {
  return pg::simt::block_barrier(predicate == 0, site) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, pg::simt::Site site = pg::simt::Site::here()) {
  pg::simt::warp_collective(
      mask, [](void* const*) {}, nullptr, site);
}
// One OS thread runs everything, in program order.
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- shuffles and votes ---------------------------------------------------------------------

namespace pg::simt {

template <class T>
struct Shuffle {
  T value;
  unsigned source;
  bool source_absent = false;
};

template <class T>
T shuffle(uint32_t mask, T value, unsigned source, Site site) {
  static_assert(std::is_trivially_copyable_v<T>);
  Shuffle<T> mine{value, source};
  warp_collective(
      mask,
      [](void* const* payloads) {
        T sent[kWarpLanes];
        for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
          if (payloads[lane] != nullptr) {
            sent[lane] = static_cast<const Shuffle<T>*>(payloads[lane])->value;
          }
        }
        for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
          if (payloads[lane] == nullptr) continue;
          Shuffle<T>& receiver = *static_cast<Shuffle<T>*>(payloads[lane]);
          receiver.source_absent = payloads[receiver.source] == nullptr;
          if (!receiver.source_absent) receiver.value = sent[receiver.source];
        }
      },
      &mine, site);
  if (mine.source_absent) fail_thread("shuffle reads a lane that takes no part in it", site);
  return mine.value;
}

// Lanes whose predicate holds.
inline unsigned ballot(uint32_t mask, bool predicate, Site site) {
  struct Vote {
    bool predicate;
    unsigned result;
  };
  Vote mine{predicate, 0};
  warp_collective(
      mask,
      [](void* const* payloads) {
        unsigned result = 0;
        for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
          if (payloads[lane] == nullptr) continue;
          result |= static_cast<const Vote*>(payloads[lane])->predicate ? 1u << lane : 0u;
        }
        for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
          if (payloads[lane] != nullptr) static_cast<Vote*>(payloads[lane])->result = result;
        }
      },
      &mine, site);
  return mine.result;
}

// First lane of the segment of `width` lanes that this lane is in.
inline unsigned segment_start(int width) { return lane_index() & ~(unsigned(width) - 1); }

}  // namespace pg::simt

// Widths are powers of two up to 32; a source outside the segment leaves the lane's own value,
// except that
// __shfl_sync takes it modulo the width.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              pg::simt::Site site = pg::simt::Site::here()) {
  const unsigned in_segment = unsigned(source) & (unsigned(width) - 1);
  return pg::simt::shuffle(mask, value, pg::simt::segment_start(width) + in_segment, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  pg::simt::Site site = pg::simt::Site::here()) {
  const unsigned lane = pg::simt::lane_index(), source = lane ^ unsigned(lane_mask);
  const bool reachable = source < pg::simt::segment_start(width) + unsigned(width);
  return pg::simt::shuffle(mask, value, reachable ? source : lane, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 pg::simt::Site site = pg::simt::Site::here()) {
  const unsigned lane = pg::simt::lane_index();
  const bool reachable = lane >= pg::simt::segment_start(width) + delta;
  return pg::simt::shuffle(mask, value, reachable ? lane - delta : lane, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   pg::simt::Site site = pg::simt::Site::here()) {
  const unsigned lane = pg::simt::lane_index();
  const bool reachable = lane + delta < pg::simt::segment_start(width) + unsigned(width);
  return pg::simt::shuffle(mask, value, reachable ? lane + delta : lane, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              pg::simt::Site site = pg::simt::Site::here()) {
  return pg::simt::ballot(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate, pg::simt::Site site = pg::simt::Site::here()) {
  return pg::simt::ballot(mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, pg::simt::Site site = pg::simt::Site::here()) {
  return pg::simt::ballot(mask, predicate == 0, site) == 0;
}

// ---- atomics --------------------------------------------------------------------------------
// Threads switch at collectives only, so a plain read-modify-write is atomic. Integers only: with
// floating-point atomics sums would depend on timing. Not instrumented: to simt_races.h they would be
// reads and writes like any other.

namespace pg::simt {
template <class T, class Function>
__attribute__((no_sanitize("thread"))) T exchange(T* address, const Function& next) {
  static_assert(std::is_integral_v<T>);
  const T old = *address;
  *address = static_cast<T>(next(old));
  return old;
}
}  // namespace pg::simt

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return pg::simt::exchange(address, [=](T old) { return old + value; });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return pg::simt::exchange(address, [=](T old) { return std::max(old, value); });
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return pg::simt::exchange(address, [=](T old) { return std::min(old, value); });
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return pg::simt::exchange(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return pg::simt::exchange(address, [=](T old) { return old == expected ? value : old; });
}

// ---- arithmetic -----------------------------------------------------------------------------
// As accurate as libm here; a GPU's approximations differ by some units in the last place.

inline int __popc(unsigned x) { return __builtin_popcount(x); }
using std::max;
using std::min;
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp2(x * 1.4426950408889634f); }  // as ex2.approx
inline float __logf(float x) { return std::log2(x) * 0.6931471805599453f; }  // as lg2.approx
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __fdividef(float x, float y) { return x / y; }
template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, T value) {
  *address = value;
}
