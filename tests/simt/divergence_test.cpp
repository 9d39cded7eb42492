// Kernels that are wrong on a GPU, each in a way that people get wrong, and what the executor says
// about them.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "kernels/dialect.h"

namespace pg::kernels {
namespace {

constexpr unsigned kFull = 0xffffffffu;

const std::vector<simt::Options>& all_options() {
  using enum simt::Schedule;
  static const std::vector<simt::Options> options = {
      {.schedule = kForward},           {.schedule = kReverse},
      {.schedule = kGreedy, .seed = 1}, {.schedule = kGreedy, .seed = 2},
      {.schedule = kGreedy, .seed = 3}, {.schedule = kRandom, .seed = 1},
      {.schedule = kRandom, .seed = 2}};
  return options;
}

// Expects every schedule to refuse the kernel with a message that holds all of `parts`.
void expect_refused(void (*kernel)(float*), unsigned threads,
                    const std::vector<std::string>& parts) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<float> out(threads);
    try {
      launch(kernel, dim3(1), dim3(threads), 0, nullptr, out.data());
      ADD_FAILURE() << "was not refused under schedule " << static_cast<int>(options.schedule);
    } catch (const simt::LaunchError& error) {
      for (const std::string& part : parts) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
            << "no \"" << part << "\" in: " << error.what();
      }
    }
  }
}

std::string here(int line) { return "divergence_test.cpp:" + std::to_string(line); }

// Different results over the schedules.
size_t count_results(void (*kernel)(float*), unsigned threads) {
  std::set<std::vector<uint32_t>> results;
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<uint32_t> out(threads);
    launch(kernel, dim3(1), dim3(threads), 0, nullptr, reinterpret_cast<float*>(out.data()));
    results.insert(out);
  }
  return results.size();
}

// ---- races: a result that depends on the schedule ----

__global__ void dropped_barrier_kernel(float* out) {
  __shared__ float fixed[64];
  fixed[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = fixed[63 - threadIdx.x];
}
__global__ void implicit_warp_sync_kernel(float* out) {
  __shared__ float fixed[32];
  fixed[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = fixed[31 - threadIdx.x];
}
// The second sum's warps overwrite what slow warps still read of the first: a race only greedy
// schedules show.
__global__ void dropped_barrier_between_sums_kernel(float* out) {
  __shared__ float partial[4];
  float result = 0.0f;
  for (int round = 1; round <= 2; ++round) {
    float value = static_cast<float>(round * static_cast<int>(threadIdx.x));
    for (int d = 16; d > 0; d /= 2) value += __shfl_xor_sync(kFull, value, d);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    result += partial[0] + partial[1] + partial[2] + partial[3];
  }
  out[threadIdx.x] = result;
}

TEST(Divergence, DroppedBarrierDependsOnTheSchedule) {
  EXPECT_GT(count_results(&dropped_barrier_kernel, 64), 1u);
}
TEST(Divergence, ImplicitWarpSynchronyDependsOnTheSchedule) {
  EXPECT_GT(count_results(&implicit_warp_sync_kernel, 32), 1u);
}
TEST(Divergence, WriteAfterReadRaceDependsOnTheSchedule) {
  EXPECT_GT(count_results(&dropped_barrier_between_sums_kernel, 128), 1u);
}

// ---- barriers ----

constexpr int kTwoBarriersLine = __LINE__ + 3;  // of the first of them
__global__ void two_barriers_kernel(float*) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
TEST(Divergence, BarriersInDifferentBranchesAreRefused) {
  expect_refused(&two_barriers_kernel, 64,
                 {"divergent barriers", here(kTwoBarriersLine), here(kTwoBarriersLine + 2)});
}

constexpr int kHalfAtBarrierLine = __LINE__ + 3;
__global__ void half_at_barrier_kernel(float* out) {
  out[threadIdx.x] = 0.0f;
  if (threadIdx.x < 32) __syncthreads();
}
TEST(Divergence, ExitWhileOthersWaitAtABarrierIsRefused) {
  expect_refused(&half_at_barrier_kernel, 64, {here(kHalfAtBarrierLine), "exit"});
}

constexpr int kBarrierAndShuffleLine = __LINE__ + 3;
__global__ void barrier_and_shuffle_kernel(float* out) {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    out[threadIdx.x] = __shfl_sync(kFull, 1.0f, 0);
  }
  __syncthreads();
}
TEST(Divergence, BarrierAgainstShuffleIsReportedWithBothLines) {
  expect_refused(&barrier_and_shuffle_kernel, 32,
                 {"no thread can go on", "16 wait at the barrier", here(kBarrierAndShuffleLine),
                  "16 wait at the warp operation", here(kBarrierAndShuffleLine + 2)});
}

// ---- masks ----

constexpr int kTwoShufflesLine = __LINE__ + 3;
__global__ void two_shuffles_kernel(float* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_xor_sync(kFull, 1.0f, 1);
  } else {
    out[threadIdx.x] = __shfl_xor_sync(kFull, 2.0f, 1);
  }
}
TEST(Divergence, FullMaskInBothBranchesIsRefused) {
  expect_refused(&two_shuffles_kernel, 32,
                 {"divergent warp operations", here(kTwoShufflesLine), here(kTwoShufflesLine + 2)});
}

constexpr int kHalfWarpLine = __LINE__ + 2;
__global__ void half_warp_kernel(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(kFull, 1.0f, 1);
}
TEST(Divergence, FullMaskInHalfAWarpIsRefused) {
  expect_refused(&half_warp_kernel, 32, {here(kHalfWarpLine), "0xffffffff", "exit"});
}

__global__ void foreign_mask_kernel(float* out) {
  out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 0);
}
TEST(Divergence, MaskWithoutTheCallerIsRefused) {
  expect_refused(&foreign_mask_kernel, 32, {"mask 0x0000ffff", "does not name the calling lane"});
}

constexpr int kTooWideMaskLine = __LINE__ + 2;
__global__ void too_wide_mask_kernel(float* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_sync(0x000001ffu, 1.0f, 0);
  __syncwarp();
}
TEST(Divergence, MaskWithALaneThatNeverComesIsReported) {
  expect_refused(&too_wide_mask_kernel, 32,
                 {"8 wait at the warp operation", here(kTooWideMaskLine)});
}

constexpr int kAbsentSourceLine = __LINE__ + 3;
__global__ void absent_source_kernel(float* out) {
  if (threadIdx.x < 8) {
    out[threadIdx.x] = __shfl_sync(0x000000ffu, 1.0f, 9);
  }
}
TEST(Divergence, ShuffleFromALaneOutsideTheMaskIsRefused) {
  expect_refused(&absent_source_kernel, 32,
                 {"shuffle reads a lane that takes no part", here(kAbsentSourceLine)});
}

// 48 threads: the second warp's upper half does not exist.
__global__ void sum_of_partial_warp_kernel(float* out) {
  out[threadIdx.x] = __shfl_xor_sync(kFull, 1.0f, 16);
}
TEST(Divergence, ShuffleFromALaneBeyondTheBlockIsRefused) {
  expect_refused(&sum_of_partial_warp_kernel, 48, {"shuffle reads a lane that takes no part"});
}

// ---- accesses and launches ----

__global__ void misaligned_kernel(float* out) { store_16_bytes(out + 1, load_16_bytes(out)); }
TEST(Divergence, MisalignedVectorAccessIsRefused) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    alignas(16) float memory[8] = {};
    EXPECT_THROW(launch(&misaligned_kernel, dim3(1), dim3(1), 0, nullptr, +memory),
                 simt::LaunchError);
  }
}

__global__ void idle_kernel() {}

TEST(Divergence, LaunchesBeyondTheLimitsAreRefused) {
  const auto refused = [](dim3 grid, dim3 block, size_t shared_bytes) {
    EXPECT_THROW(launch(&idle_kernel, grid, block, shared_bytes, nullptr), simt::LaunchError);
  };
  refused(dim3(1), dim3(1025), 0);
  refused(dim3(1), dim3(32, 33), 0);
  refused(dim3(1), dim3(1, 1, 65), 0);
  refused(dim3(0), dim3(32), 0);
  refused(dim3(1), dim3(0), 0);
  refused(dim3(1, 65536), dim3(1), 0);
  refused(dim3(1), dim3(32), 163 * 1024 + 1);
  launch(&idle_kernel, dim3(1), dim3(1024), 163 * 1024, nullptr);
}

}  // namespace
}  // namespace pg::kernels
