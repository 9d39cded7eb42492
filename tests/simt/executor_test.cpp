// Each intrinsic of the dialect against its definition in the CUDA C++ Programming Guide.
#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "kernels/dialect.h"

// Null unless the program is built with AddressSanitizer.
extern "C" [[gnu::weak]] void __asan_init();

namespace pg::kernels {
namespace {

constexpr unsigned kFull = 0xffffffffu;

const std::vector<simt::Options>& all_options() {
  using enum simt::Schedule;
  static const std::vector<simt::Options> options = {
      {.schedule = kForward},           {.schedule = kReverse},
      {.schedule = kGreedy, .seed = 1}, {.schedule = kGreedy, .seed = 2},
      {.schedule = kRandom, .seed = 1}, {.schedule = kRandom, .seed = 2}};
  return options;
}

// ---- indices, shared memory, blocks -------------------------------------------------------------

__global__ void count_visits_kernel(int* visits) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  atomicAdd(&visits[block * blockDim.x * blockDim.y * blockDim.z + thread], 1);
}

TEST(Executor, RunsEveryThreadOfEveryBlockOnce) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<int> visits(2 * 3 * 2 * 5 * 4 * 3, 0);
    launch(&count_visits_kernel, dim3(2, 3, 2), dim3(5, 4, 3), 0, nullptr, visits.data());
    EXPECT_EQ(visits, std::vector<int>(visits.size(), 1));
  }
}

__global__ void reverse_kernel(int* out) {
  PG_DYN_SHARED(int, dynamic);
  __shared__ int fixed[64];
  const int t = static_cast<int>(threadIdx.x);
  dynamic[t] = t + static_cast<int>(blockIdx.x);
  __syncthreads();
  fixed[63 - t] = dynamic[t];
  __syncthreads();
  out[blockIdx.x * 64 + threadIdx.x] = fixed[t];
}

TEST(Executor, BarriersOrderSharedMemory) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<int> out(128, -1);
    launch(&reverse_kernel, dim3(2), dim3(64), 64 * sizeof(int), nullptr, out.data());
    for (int i = 0; i < 128; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], 63 - i % 64 + i / 64);
  }
}

__global__ void unwritten_dynamic_kernel(float* out) {
  PG_DYN_SHARED(float, dynamic);
  if (threadIdx.x == 0 && blockIdx.x == 0) dynamic[3] = 1.0f;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = dynamic[3];
}
__global__ void unwritten_static_kernel(float* out) {
  __shared__ float fixed[4];
  if (threadIdx.x == 0 && blockIdx.x == 0) fixed[3] = 1.0f;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = fixed[3];
}

TEST(Executor, UnwrittenDynamicSharedMemoryIsNan) {
  float out[2] = {};
  launch(&unwritten_dynamic_kernel, dim3(2), dim3(32), 4 * sizeof(float), nullptr, +out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_TRUE(std::isnan(out[1]));  // the second block does not see the first one's
}

TEST(Executor, UnwrittenStaticSharedMemoryIsNan) {
  if (__asan_init != nullptr) GTEST_SKIP() << "under AddressSanitizer it has red zones instead";
  float out[2] = {};
  launch(&unwritten_static_kernel, dim3(2), dim3(32), 0, nullptr, +out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_TRUE(std::isnan(out[1]));
}

__global__ void barrier_votes_kernel(int* out) {
  const bool third = threadIdx.x % 3 == 0;
  const int count = __syncthreads_count(third);
  const int any = __syncthreads_or(threadIdx.x == 77), none = __syncthreads_or(0);
  const int all = __syncthreads_and(1), not_all = __syncthreads_and(threadIdx.x != 5);
  if (threadIdx.x == 9) {
    out[0] = count;
    out[1] = any;
    out[2] = none;
    out[3] = all;
    out[4] = not_all;
  }
}

TEST(Executor, BarriersVote) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<int> out(5, -1);
    launch(&barrier_votes_kernel, dim3(1), dim3(100), 0, nullptr, out.data());
    EXPECT_EQ(out, (std::vector<int>{34, 1, 0, 1, 0}));
  }
}

// ---- shuffles and votes ----

__global__ void shuffles_kernel(int* out, int argument, int width) {
  const int value = 100 + static_cast<int>(threadIdx.x);
  int* mine = out + 4 * threadIdx.x;
  mine[0] = __shfl_sync(kFull, value, argument, width);
  mine[1] = __shfl_xor_sync(kFull, value, argument, width);
  mine[2] = __shfl_up_sync(kFull, value, static_cast<unsigned>(argument), width);
  mine[3] = __shfl_down_sync(kFull, value, static_cast<unsigned>(argument), width);
}

TEST(Executor, ShufflesOfEveryWidth) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    for (int width = 1; width <= 32; width *= 2) {
      for (int argument = 0; argument < width; argument += 3) {
        std::vector<int> out(4 * 64);
        launch(&shuffles_kernel, dim3(1), dim3(64), 0, nullptr, out.data(), argument, width);
        for (int t = 0; t < 64; ++t) {
          const int base = t / width * width, lane = t % width;
          const int by_xor = lane ^ argument;  // argument < width stays in the segment
          const int want[] = {base + argument, base + by_xor,
                              lane - argument >= 0 ? t - argument : t,
                              lane + argument < width ? t + argument : t};
          for (int k = 0; k < 4; ++k) {
            EXPECT_EQ(out[static_cast<size_t>(4 * t + k)], 100 + want[k])
                << "thread " << t << " width " << width << " argument " << argument << " op " << k;
          }
        }
      }
    }
  }
}

__global__ void far_shuffles_kernel(int* out) {
  const int value = static_cast<int>(threadIdx.x);
  out[threadIdx.x] = __shfl_sync(kFull, value, 13, 8);           // modulo the width: 5
  out[32 + threadIdx.x] = __shfl_xor_sync(kFull, value, 12, 8);  // into another segment
}

TEST(Executor, ShuffleSourcesOutsideTheSegment) {
  std::vector<int> out(64);
  launch(&far_shuffles_kernel, dim3(1), dim3(32), 0, nullptr, out.data());
  for (int t = 0; t < 32; ++t) {
    EXPECT_EQ(out[static_cast<size_t>(t)], t / 8 * 8 + 5);
    // An earlier segment can be read, a later one cannot (the guide's clamp).
    EXPECT_EQ(out[static_cast<size_t>(32 + t)], (t ^ 12) < t / 8 * 8 + 8 ? t ^ 12 : t);
  }
}

struct Wide {
  double a;
  float b;
  bool operator==(const Wide&) const = default;
};
__global__ void wide_shuffle_kernel(Wide* out) {
  const Wide mine{0.5 * threadIdx.x, 2.0f};
  out[threadIdx.x] = __shfl_sync(kFull, mine, 31 - static_cast<int>(threadIdx.x));
}

TEST(Executor, ShufflesOfStructs) {
  std::vector<Wide> out(32);
  launch(&wide_shuffle_kernel, dim3(1), dim3(32), 0, nullptr, out.data());
  for (int t = 0; t < 32; ++t) EXPECT_EQ(out[static_cast<size_t>(t)], (Wide{0.5 * (31 - t), 2.0f}));
}

__global__ void partial_mask_kernel(unsigned* out) {
  const unsigned t = threadIdx.x;
  if (t < 16) {
    out[t] = __shfl_xor_sync(0x0000ffffu, t, 1);
  } else {
    out[t] = __ballot_sync(0xffff0000u, t % 2 == 0);
  }
  __syncwarp();
  if (t == 4 || t == 9) out[t] = static_cast<unsigned>(__any_sync(1u << 4 | 1u << 9, t == 9));
}

TEST(Executor, PartialMasks) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<unsigned> out(32);
    launch(&partial_mask_kernel, dim3(1), dim3(32), 0, nullptr, out.data());
    for (unsigned t = 0; t < 32; ++t) {
      EXPECT_EQ(out[t], t == 4 || t == 9 ? 1u : t < 16 ? (t ^ 1) : 0x55550000u);
    }
  }
}

__global__ void votes_kernel(unsigned* out) {
  const unsigned t = threadIdx.x;
  out[6 * t] = __ballot_sync(kFull, t % 5 == 0);
  out[6 * t + 1] = static_cast<unsigned>(__any_sync(kFull, t % 32 == 3));
  out[6 * t + 2] = static_cast<unsigned>(__any_sync(kFull, 0));
  out[6 * t + 3] = static_cast<unsigned>(__all_sync(kFull, 1));
  out[6 * t + 4] = static_cast<unsigned>(__all_sync(kFull, t % 32 != 3));
  out[6 * t + 5] = t;
}

TEST(Executor, Votes) {
  std::vector<unsigned> out(6 * 64);
  launch(&votes_kernel, dim3(1), dim3(64), 0, nullptr, out.data());
  for (unsigned t = 0; t < 64; ++t) {
    unsigned want = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
      want |= ((t / 32 * 32 + lane) % 5 == 0 ? 1u : 0u) << lane;
    EXPECT_EQ(std::vector<unsigned>(&out[6 * t], &out[6 * t] + 6),
              (std::vector<unsigned>{want, 1, 0, 1, 0, t}));
  }
}

__global__ void syncwarp_kernel(int* out) {
  __shared__ int fixed[32];
  fixed[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncwarp();
  out[threadIdx.x] = fixed[31 - threadIdx.x];
}

TEST(Executor, SyncwarpOrdersSharedMemory) {
  for (const simt::Options& options : all_options()) {
    const simt::ScopedOptions scoped(options);
    std::vector<int> out(32, -1);
    launch(&syncwarp_kernel, dim3(1), dim3(32), 0, nullptr, out.data());
    for (int t = 0; t < 32; ++t) EXPECT_EQ(out[static_cast<size_t>(t)], 31 - t);
  }
}

// A full mask may name lanes beyond the end of the block.
TEST(Executor, FullMaskInAPartialWarp) {
  std::vector<int> out(32, -1);
  launch(&partial_mask_kernel, dim3(1), dim3(32), 0, nullptr,
         reinterpret_cast<unsigned*>(out.data()));
  std::vector<unsigned> votes(6 * 40);
  launch(&votes_kernel, dim3(1), dim3(40), 0, nullptr, votes.data());
  EXPECT_EQ(votes[6 * 39], 1u << 3);  // of lanes 32 to 39 only thread 35 divides by 5
}

// ---- atomics ----

__global__ void atomics_kernel(int* out) {
  const int t = static_cast<int>(threadIdx.x + blockIdx.x * blockDim.x);
  atomicAdd(&out[0], t);
  atomicMax(&out[1], t);
  atomicMin(&out[2], -t);
  if (atomicExch(&out[3], 1) == 0) atomicAdd(&out[4], 1);
  if (atomicCAS(&out[5], t, t + 1) == t) atomicAdd(&out[6], 1);
}

TEST(Executor, Atomics) {
  std::vector<int> out(7, 0);
  launch(&atomics_kernel, dim3(4), dim3(50), 0, nullptr, out.data());
  EXPECT_EQ(out, (std::vector<int>{199 * 100, 199, -199, 1, 1, 200, 200}));
}

// ---- schedules, options, errors ----

__global__ void order_kernel(int* order, int* ticket) {
  order[atomicAdd(ticket, 1)] = static_cast<int>(threadIdx.x);
}

std::vector<int> order_under(const simt::Options& options) {
  const simt::ScopedOptions scoped(options);
  std::vector<int> order(96);
  int ticket = 0;
  launch(&order_kernel, dim3(1), dim3(96), 0, nullptr, order.data(), &ticket);
  return order;
}

TEST(Executor, SchedulesDifferAndRepeat) {
  std::set<std::vector<int>> orders;
  for (const simt::Options& options : all_options()) {
    EXPECT_EQ(order_under(options), order_under(options));
    orders.insert(order_under(options));
  }
  EXPECT_GE(orders.size(), 5u);  // the greedy ones may agree on the order of three warps
}

__global__ void throwing_kernel(int* reached) {
  __syncthreads();
  if (threadIdx.x == 7) throw std::out_of_range("from the kernel");
  __syncthreads();
  *reached = 1;
}

TEST(Executor, ExceptionsOfAKernelReachTheLauncherAndLeaveItUsable) {
  int reached = 0;
  EXPECT_THROW(launch(&throwing_kernel, dim3(3), dim3(64), 0, nullptr, &reached),
               std::out_of_range);
  EXPECT_EQ(reached, 0);
  std::vector<int> out(128, -1);
  launch(&reverse_kernel, dim3(2), dim3(64), 64 * sizeof(int), nullptr, out.data());
  EXPECT_EQ(out[0], 63);
}

__global__ void half_leaves_kernel(int* sum) {
  if (threadIdx.x >= 32) return;
  atomicAdd(sum, 1);
  __syncthreads();
  atomicAdd(sum, 1000);
}

TEST(Executor, EarlyExitBeforeABarrierCanBeAllowed) {
  for (simt::Options options : all_options()) {
    options.allow_early_exit = true;
    const simt::ScopedOptions scoped(options);
    int sum = 0;
    launch(&half_leaves_kernel, dim3(1), dim3(64), 0, nullptr, &sum);
    EXPECT_EQ(sum, 32032);
  }
}

TEST(Executor, LaunchesFromSeveralThreadsTakeTurns) {
  const uint64_t before = simt::launch_count();
  std::vector<std::vector<int>> out(4, std::vector<int>(128, -1));
  std::vector<std::thread> threads;
  for (std::vector<int>& mine : out) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 20; ++i) {
        launch(&reverse_kernel, dim3(2), dim3(64), 64 * sizeof(int), nullptr, mine.data());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<int>& mine : out) EXPECT_EQ(mine, out[0]);
  EXPECT_EQ(simt::launch_count(), before + 80);
}

}  // namespace
}  // namespace pg::kernels
