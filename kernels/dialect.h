// The kernel dialect: the subset of CUDA that our kernels are written in. Under nvcc it means CUDA;
// elsewhere it means the fiber executor (simt_host.h), so the same .cu file runs, slowly and
// checked, on any machine.
//
// Rules the host side imposes, all good practice anyway: launch() instead of triple angle brackets;
// no inline assembly but here; explicit masks, no warp-synchronous tricks; kernels in an inline
// namespace of the file's name (rmsnorm.cu: rmsnorm_kernels), so that both compilers give them the
// same symbol, by which the entries of nvcc's PTX are found; static __shared__ arrays inside kernels only, of trivial types (nvcc refuses bf16
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

// Dynamic shared memory that a kernel may have without asking for it.
inline constexpr size_t kDefaultSharedBytes = 48 * 1024;

// Queues kernel(args...) on the stream. An invalid launch shows in cudaGetLastError(), which the
// caller checks.
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, Stream stream,
            Args... args) {
  if (shared_bytes > kDefaultSharedBytes) {
    // Per kernel and device; asking again takes less time than finding out whether that was done.
    cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shared_bytes));
  }
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

// a + b, where b may be a product just made: nvcc would fuse the two in some variants of a kernel and
// not in others, and their results would differ.
__device__ __forceinline__ float add_rounded(float a, float b) { return __fadd_rn(a, b); }

// 2^x within 2 units in the last place; results below the normal range are 0.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// ---- tensor cores, of a whole warp --------------------------------------------------------------
// D[16, 8] += A[16, 16] B[16, 8], bf16 with f32 sums. Lane 4 g + t holds of A rows g and g + 8 at
// columns 2t, 2t + 1 (a[0], a[1]) and 8 further (a[2], a[3]); of B rows 2t, 2t + 1 of column g
// (b[0]) and 8 further (b[1]); of D columns 2t, 2t + 1 of row g (d[0], d[1]) and of row g + 8.
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4],
                                             const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Four 8 x 8 matrices of 16-bit elements from shared memory: lane 8 m + r gives the address of row
// r of matrix m, a multiple of 16; lane 4 g + t gets elements 2t, 2t + 1 of row g of matrix m in
// fragment[m]. _trans: of the transposed matrices.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&fragment)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&fragment)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared_address(row))
               : "memory");
}
// Two neighbours of a fragment.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

// ---- copies to shared memory that go on in the background ---------------------------------------
// 16 bytes, zeros where they are not present; both addresses are multiples of 16. The thread that
// copies sees them after the wait for their group, others after a barrier more.
__device__ __forceinline__ void cp_async_16(void* shared_to, const void* from, bool is_present) {
  const int bytes = is_present ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(shared_to)), "l"(__cvta_generic_to_global(from)), "r"(bytes)
               : "memory");
}
// Ends a group of copies.
__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" : : : "memory");
}
// Waits for all groups of this thread but the newest kGroupsLeft.
template <int kGroupsLeft>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" : : "n"(kGroupsLeft) : "memory");
}

}  // namespace pg::kernels

#else

#include "kernels/simt/simt_host.h"

namespace pg::kernels {

inline uint32_t pack_bf16(float low, float high) {
  return uint32_t{bf16(low).bits} | uint32_t{bf16(high).bits} << 16;
}

}  // namespace pg::kernels

// Blocks run one at a time, so a function-local static is the block's shared memory; constinit
// keeps the compiler from guarding it. Its own section lets the executor poison it, but would cost
// AddressSanitizer's red zones.
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static constinit
#else
#define __shared__ static constinit __attribute__((section("pg_shared")))
#endif

#endif
