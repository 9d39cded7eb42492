// Tensor-core and asynchronous-copy primitives of the dialect, for host compilers: warp collectives
// with the fragment layouts of the PTX ISA 9.0, "Matrix Fragments for mma.m16n8k16 with
// floating point type" and "ldmatrix". Sums are f32 in the order of k; a GPU's order and rounding
// inside one product differ.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/simt/simt_executor.h"

namespace pg::simt {

inline constexpr unsigned kWholeWarpMask = 0xffffffffu;

inline void check_16_byte_address(const void* address, Site site) {
  if (reinterpret_cast<uintptr_t>(address) % 16 != 0) {
    fail_thread("16-byte access to a misaligned address", site);
  }
}

struct MmaFragments {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

// The bf16 of a pair: half 0 is the low one, of the smaller index.
inline float bf16_half(uint32_t pair, int half) {
  return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xffff0000u);
}

// Lane 4 g + t holds: of A, rows g and g + 8, columns 2t, 2t + 1 and 8 more; of B, rows 2t, 2t + 1
// and 8 more of column g; of D, rows g and g + 8 of columns 2t, 2t + 1.
inline void run_mma_m16n8k16(void* const* payloads) {
  float a[16][16], b[16][8];
  for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
    const MmaFragments& mine = *static_cast<const MmaFragments*>(payloads[lane]);
    const unsigned g = lane / 4, t = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      const unsigned k = t + static_cast<unsigned>(half);
      a[g][k] = bf16_half(mine.a[0], half);
      a[g + 8][k] = bf16_half(mine.a[1], half);
      a[g][k + 8] = bf16_half(mine.a[2], half);
      a[g + 8][k + 8] = bf16_half(mine.a[3], half);
      b[k][g] = bf16_half(mine.b[0], half);
      b[k + 8][g] = bf16_half(mine.b[1], half);
    }
  }
  float d[16][8] = {};
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
    const MmaFragments& mine = *static_cast<const MmaFragments*>(payloads[lane]);
    const unsigned g = lane / 4, t = lane % 4 * 2;
    for (unsigned i = 0; i < 4; ++i) mine.d[i] += d[g + i / 2 * 8][t + i % 2];
  }
}

struct LdmatrixRow {
  const void* row;     // lane 8 m + r: row r of matrix m
  uint32_t result[4];  // lane 4 g + t: of each matrix, elements 2t, 2t + 1 of row g
};

template <bool kTransposed>
void run_ldmatrix_x4(void* const* payloads) {
  for (unsigned m = 0; m < 4; ++m) {
    uint16_t matrix[8][8];
    for (unsigned r = 0; r < 8; ++r) {
      std::memcpy(matrix[r], static_cast<const LdmatrixRow*>(payloads[m * 8 + r])->row, 16);
    }
    for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
      const unsigned g = lane / 4, t = lane % 4 * 2;
      const uint32_t low = kTransposed ? matrix[t][g] : matrix[g][t];
      const uint32_t high = kTransposed ? matrix[t + 1][g] : matrix[g][t + 1];
      static_cast<LdmatrixRow*>(payloads[lane])->result[m] = low | high << 16;
    }
  }
}

template <bool kTransposed>
void ldmatrix_x4(uint32_t (&fragment)[4], const void* row, Site site) {
  check_16_byte_address(row, site);
  LdmatrixRow mine{row, {}};
  warp_collective(kWholeWarpMask, &run_ldmatrix_x4<kTransposed>, &mine, site);
  std::memcpy(fragment, mine.result, sizeof mine.result);
}

// Here and not in the executor, so that it is compiled as the kernels are: a checker of races then
// sees what it writes.
inline void copy_16_bytes(void* to, const void* from) { std::memcpy(to, from, 16); }
inline constexpr unsigned char kZeros[16] = {};  // g++ does not report what memset writes
inline void fill_16_bytes(void* to, const void* /*from*/) { std::memcpy(to, kZeros, 16); }

}  // namespace pg::simt

namespace pg::kernels {

inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         simt::Site site = simt::Site::here()) {
  simt::MmaFragments mine{d, a, b};
  simt::warp_collective(simt::kWholeWarpMask, &simt::run_mma_m16n8k16, &mine, site);
}
inline void ldmatrix_x4(uint32_t (&fragment)[4], const void* row,
                        simt::Site site = simt::Site::here()) {
  simt::ldmatrix_x4<false>(fragment, row, site);
}
inline void ldmatrix_x4_trans(uint32_t (&fragment)[4], const void* row,
                              simt::Site site = simt::Site::here()) {
  simt::ldmatrix_x4<true>(fragment, row, site);
}
inline void cp_async_16(void* shared_to, const void* from, bool is_present,
                        simt::Site site = simt::Site::here()) {
  simt::check_16_byte_address(shared_to, site);
  simt::check_16_byte_address(from, site);
  simt::queue_copy(is_present ? &simt::copy_16_bytes : &simt::fill_16_bytes, shared_to, from);
}
inline void cp_async_commit() { simt::commit_copies(); }
template <int kGroupsLeft>
void cp_async_wait() {
  simt::wait_for_copies(kGroupsLeft);
}

}  // namespace pg::kernels
