// The kernel dialect: the subset of CUDA that our kernels are written in. Under nvcc it means CUDA;
// elsewhere it means the fiber executor (simt_host.h), so the same .cu file runs, slowly and
// checked, on any machine.
//
// Rules the host side imposes, all good practice anyway: launch() instead of triple angle brackets;
// no inline assembly; explicit masks, no warp-synchronous tricks; kernels in an anonymous
// namespace; static __shared__ arrays inside kernels only, of trivial types (nvcc refuses bf16
// there: its default value is a constructor).
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernel_args.h"

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_runtime.h>

// Before a loop of constant length: unroll it whole.
#define PG_UNROLL _Pragma("unroll")
// T* name: the block's dynamic shared memory.
#define PG_DYN_SHARED(T, name)                                     \
  extern __shared__ __align__(128) unsigned char pg_dyn_shared_[]; \
  T* name = reinterpret_cast<T*>(pg_dyn_shared_)

namespace pg::kernels {

// Queues kernel(args...) on the stream. An invalid launch shows in cudaGetLastError(), which the
// caller checks.
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, Stream stream,
            Args... args) {
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Params>(args)...);
}

// One 16-byte access; the address must be a multiple of 16. A struct assignment of eight bf16 would
// become eight two-byte accesses.
__device__ __forceinline__ uint4 load_16_bytes(const void* from) {
  return *static_cast<const uint4*>(from);
}
__device__ __forceinline__ void store_16_bytes(void* to, uint4 value) {
  *static_cast<uint4*>(to) = value;
}
// The same to global memory, and one access for sure: a plain store of values that were converted one
// by one may be taken apart again.
__device__ __forceinline__ void store_16_bytes_to_global(void* to, uint4 value) {
  __stwb(static_cast<uint4*>(to), value);
}

template <class T>
__device__ __forceinline__ T round_to(float value);
template <>
__device__ __forceinline__ float round_to<float>(float value) {
  return value;
}
// One conversion instruction per pair instead of the seven integer ones of bf16's portable
// constructor.
template <>
__device__ __forceinline__ bf16 round_to<bf16>(float value) {
  bf16 rounded;
  rounded.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
  return rounded;
}

}  // namespace pg::kernels

#else

#include "kernels/simt/simt_host.h"

// Blocks run one at a time, so a function-local static is the block's shared memory; constinit
// keeps the compiler from guarding it. Its own section lets the executor poison it, but would cost
// AddressSanitizer's red zones.
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static constinit
#else
#define __shared__ static constinit __attribute__((section("pg_shared")))
#endif

#endif
