// The dialect's tensor-core and copy primitives against their definition in the PTX ISA.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/dialect.h"

namespace pg::kernels {
namespace {

uint32_t pair(float low, float high) { return pack_bf16(low, high); }

// A[16, 16], B[16, 8] row-major f32 of whole numbers, D[16, 8].
__global__ void mma_kernel(float* d, const float* a, const float* b) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4 * 2;
  const auto pair_of_a = [&](int row, int column) {
    return pair(a[row * 16 + column], a[row * 16 + column + 1]);
  };
  const uint32_t a_fragment[4] = {pair_of_a(g, t), pair_of_a(g + 8, t), pair_of_a(g, t + 8),
                                  pair_of_a(g + 8, t + 8)};
  const uint32_t b_fragment[2] = {pair(b[t * 8 + g], b[(t + 1) * 8 + g]),
                                  pair(b[(t + 8) * 8 + g], b[(t + 9) * 8 + g])};
  float sums[4] = {d[g * 8 + t], d[g * 8 + t + 1], d[(g + 8) * 8 + t], d[(g + 8) * 8 + t + 1]};
  mma_m16n8k16(sums, a_fragment, b_fragment);
  d[g * 8 + t] = sums[0];
  d[g * 8 + t + 1] = sums[1];
  d[(g + 8) * 8 + t] = sums[2];
  d[(g + 8) * 8 + t + 1] = sums[3];
}

TEST(TensorCore, MultipliesAndAdds) {
  std::vector<float> a(256), b(128), d(128);
  for (int i = 0; i < 256; ++i) a[static_cast<size_t>(i)] = static_cast<float>(i * 7 % 23 - 11);
  for (int i = 0; i < 128; ++i) b[static_cast<size_t>(i)] = static_cast<float>(i * 5 % 17 - 8);
  for (int i = 0; i < 128; ++i) d[static_cast<size_t>(i)] = static_cast<float>(i);
  std::vector<float> want = d;
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      for (size_t k = 0; k < 16; ++k) want[row * 8 + column] += a[row * 16 + k] * b[k * 8 + column];
    }
  }
  launch(&mma_kernel, dim3(1), dim3(32), 0, nullptr, d.data(), a.data(), b.data());
  EXPECT_EQ(d, want);
}

// Four 8 x 8 matrices one after another; what each lane gets of them.
__global__ void ldmatrix_kernel(uint32_t* plain, uint32_t* transposed) {
  PG_DYN_SHARED(uint16_t, matrices);  // [4][8][8]
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) matrices[i] = static_cast<uint16_t>(i);
  __syncwarp();
  uint32_t fragment[4];
  ldmatrix_x4(fragment, matrices + lane * 8);
  for (int m = 0; m < 4; ++m) plain[lane * 4 + m] = fragment[m];
  ldmatrix_x4_trans(fragment, matrices + lane * 8);
  for (int m = 0; m < 4; ++m) transposed[lane * 4 + m] = fragment[m];
}

TEST(TensorCore, LoadsMatricesPlainAndTransposed) {
  std::vector<uint32_t> plain(128), transposed(128);
  launch(&ldmatrix_kernel, dim3(1), dim3(32), 512, nullptr, plain.data(), transposed.data());
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4 * 2;
    for (uint32_t m = 0; m < 4; ++m) {
      const auto element = [&](uint32_t row, uint32_t column) { return m * 64 + row * 8 + column; };
      EXPECT_EQ(plain[lane * 4 + m], element(g, t) | element(g, t + 1) << 16);
      EXPECT_EQ(transposed[lane * 4 + m], element(t, g) | element(t + 1, g) << 16);
    }
  }
}

__global__ void misaligned_ldmatrix_kernel() {
  PG_DYN_SHARED(uint16_t, matrix);
  uint32_t fragment[4];
  ldmatrix_x4(fragment, matrix + threadIdx.x % 8 * 8 + 1);
}

TEST(TensorCore, MisalignedMatrixRowsAreRefused) {
  EXPECT_THROW(launch(&misaligned_ldmatrix_kernel, dim3(1), dim3(32), 256, nullptr),
               simt::LaunchError);
}

// Copies two groups, looks at the shared memory after waiting for the first and for both; the
// second group's second half is not present.
__global__ void copy_kernel(float* seen, const float* from) {
  PG_DYN_SHARED(float, to);
  cp_async_16(to, from, true);
  cp_async_commit();
  cp_async_16(to + 4, from + 4, true);
  cp_async_16(to + 8, from + 8, false);
  cp_async_commit();
  cp_async_wait<1>();
  for (int i = 0; i < 12; ++i) seen[i] = to[i];
  cp_async_wait<0>();
  for (int i = 0; i < 12; ++i) seen[12 + i] = to[i];
}

TEST(AsyncCopy, LandsAtTheWaitForItsGroup) {
  alignas(16) const float from[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  float seen[24];
  launch(&copy_kernel, dim3(1), dim3(1), 12 * sizeof(float), nullptr, seen, from);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(seen[i], from[i]);
  for (int i = 4; i < 12; ++i) EXPECT_TRUE(std::isnan(seen[i])) << i;  // not yet
  for (int i = 0; i < 12; ++i) EXPECT_EQ(seen[12 + i], i < 8 ? from[i] : 0.0f) << i;

  const simt::ScopedOptions early({.copy_early = true});
  launch(&copy_kernel, dim3(1), dim3(1), 12 * sizeof(float), nullptr, seen, from);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(seen[i], i < 8 ? from[i] : 0.0f) << i;
}

}  // namespace
}  // namespace pg::kernels
