// The race checker on kernels that race and on the same ones mended. All run forward, where most of
// the results are right.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/dialect.h"
#include "kernels/simt/simt_races.h"

namespace pg::kernels {
namespace {

constexpr unsigned kFull = 0xffffffffu;

std::string race_of(void (*kernel)(float*), unsigned threads, size_t shared_bytes = 0,
                    unsigned blocks = 1) {
  std::vector<float> out(threads);
  launch(kernel, dim3(blocks), dim3(threads), shared_bytes, nullptr, out.data());
  return simt::take_race();
}

void expect_race(const std::string& race, const std::string& part) {
  EXPECT_NE(race.find(part), std::string::npos) << "no \"" << part << "\" in: \"" << race << '"';
}

template <bool kHasBarrier>
__global__ void read_of_another_warp_kernel(float* out) {
  __shared__ float values[64];
  const unsigned i = threadIdx.x;
  values[i] = 1.0f;
  __syncthreads();
  const int line = __LINE__ - 1;
  if (i == 63) values[i] = 2.0f;
  if (kHasBarrier) __syncthreads();
  out[i] = i == 0 ? values[63] + static_cast<float>(line) : 0.0f;
}
TEST(SimtRaces, AWriteIsReadByAnotherWarpAfterABarrierOnly) {
  std::vector<float> out(64);
  launch(&read_of_another_warp_kernel<false>, dim3(1), dim3(64), 0, nullptr, out.data());
  const std::string race = simt::take_race();
  expect_race(race, "thread 0 reads what thread 63 has written");
  expect_race(race, "last barrier at ");
  expect_race(race, "races_test.cpp:" + std::to_string(static_cast<int>(out[0]) - 2));
  EXPECT_EQ(race_of(&read_of_another_warp_kernel<true>, 64), "");
}

// Every order of this one gives the same result.
__global__ void write_of_equal_values_kernel(float* out) {
  __shared__ float value;
  value = 1.0f;
  __syncthreads();
  out[threadIdx.x] = value;
}
TEST(SimtRaces, TwoWritesRaceThoughTheValueIsTheSame) {
  expect_race(race_of(&write_of_equal_values_kernel, 2),
              "thread 1 overwrites what thread 0 has written; no barrier yet");
}

template <bool kHasBarrier>
__global__ void write_over_reads_kernel(float* out) {
  __shared__ float value;
  const unsigned last =
      blockDim.x - 1;  // the first to go on after the barrier is the last to write
  if (threadIdx.x == 0) value = 1.0f;
  __syncthreads();
  out[threadIdx.x] = value;
  if (kHasBarrier) __syncthreads();
  if (threadIdx.x == last - 1) value = 2.0f;
}
TEST(SimtRaces, AReadIsOverwrittenAfterABarrierOnly) {
  expect_race(race_of(&write_over_reads_kernel<false>, 32), "thread 30 overwrites what thread 0 ");
  expect_race(race_of(&write_over_reads_kernel<false>, 96), "thread 94 overwrites what thread ");
  EXPECT_EQ(race_of(&write_over_reads_kernel<true>, 96), "");
}

// Warp 1 is in order with itself, and reads first.
__global__ void write_over_another_warps_read_kernel(float* out) {
  __shared__ float value;
  if (threadIdx.x == 0) value = 1.0f;
  __syncthreads();
  out[threadIdx.x] = value;
  if (threadIdx.x < 32) return;
  __syncwarp();
  if (threadIdx.x == 63) value = 2.0f;
}
TEST(SimtRaces, AReadOfAnyWarpCounts) {
  expect_race(race_of(&write_over_another_warps_read_kernel, 64),
              "thread 63 overwrites what another warp has read");
}

enum class WarpOrder : uint8_t { kNone, kShuffle, kSyncwarp };
template <WarpOrder kOrder>
__global__ void exchange_within_a_warp_kernel(float* out) {
  __shared__ float values[32];
  const unsigned i = threadIdx.x;
  values[i] = 1.0f;
  __syncthreads();
  if (i == 31) values[i] = 2.0f;
  float other = 0.0f;
  if (kOrder == WarpOrder::kShuffle) other = __shfl_xor_sync(kFull, other, 1);
  if (kOrder == WarpOrder::kSyncwarp) __syncwarp();
  out[i] = i == 0 ? values[31] : other;
}
TEST(SimtRaces, OnlySyncwarpOrdersAWarp) {
  expect_race(race_of(&exchange_within_a_warp_kernel<WarpOrder::kNone>, 32),
              "thread 0 reads what thread 31 has written");
  expect_race(race_of(&exchange_within_a_warp_kernel<WarpOrder::kShuffle>, 32),
              "thread 0 reads what thread 31 has written");
  EXPECT_EQ(race_of(&exchange_within_a_warp_kernel<WarpOrder::kSyncwarp>, 32), "");
}

__global__ void read_of_nothing_kernel(float* out) {
  __shared__ float values[64];
  if (threadIdx.x < 63) values[threadIdx.x] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}
TEST(SimtRaces, WhatABlockReadsItHasWritten) {
  expect_race(race_of(&read_of_nothing_kernel, 64),
              "thread 63 reads what no thread of the block has written");
  EXPECT_EQ(race_of(&read_of_nothing_kernel, 63), "");
}

// 16 bytes, and 4 that lie among them or behind, in dynamic memory.
template <unsigned kPlace>
__global__ void wide_access_kernel(float* out) {
  PG_DYN_SHARED(float, values);
  if (threadIdx.x == 0) store_16_bytes(values, uint4{});
  if (threadIdx.x == 32) values[kPlace] = 1.0f;
  out[threadIdx.x] = 1.0f;
}
TEST(SimtRaces, EachByteCountsAlsoInDynamicMemory) {
  expect_race(race_of(&wide_access_kernel<3>, 64, 64), "overwrites what thread 0 has written");
  EXPECT_EQ(race_of(&wide_access_kernel<4>, 64, 64), "");
}

__global__ void count_kernel(float* out) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  atomicAdd(&count, 1);
  __syncthreads();
  out[threadIdx.x] = static_cast<float>(count);
}
TEST(SimtRaces, AtomicsAndBlocksAfterOneAnotherDoNotRace) {
  EXPECT_EQ(race_of(&count_kernel, 64, 0, 3), "");
}

}  // namespace
}  // namespace pg::kernels
