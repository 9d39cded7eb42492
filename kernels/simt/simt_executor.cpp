// Launches a grid block by block and runs its threads as fibers.
#include "kernels/simt/simt_executor.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "kernels/simt/simt_races.h"
#include "kernels/simt/simt_state.h"

// Sanitizers must know which stack is current. Weak: null in programs built without them.
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom,
                                                  size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom_old,
                                                   size_t* size_old);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, size_t size);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
// The linker's names for the ends of the section that holds static __shared__ arrays.
[[gnu::weak]] extern char __start_pg_shared[];
[[gnu::weak]] extern char __stop_pg_shared[];
}

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace pg::simt {
namespace {

// Limits of a launch: CUDA C++ Programming Guide 13, table of compute capabilities.
constexpr unsigned kMaxBlockZ = 64;
constexpr unsigned kMaxGridX = 2147483647, kMaxGridYZ = 65535;
// What a block of sm_80 may have; sm_90 has 227 KiB, but every kernel is built for both.
constexpr size_t kMaxSharedBytes = 163 * 1024;

constexpr size_t kSharedAlignment = 128;
constexpr int kPoison = 0xff;  // bytes of ones: a NaN in every float format
constexpr size_t kAllStacksBytes = kMaxBlockThreads * kStackBytes;

uint3 position_of(uint64_t index, dim3 size) {
  return {static_cast<unsigned>(index % size.x), static_cast<unsigned>(index / size.x % size.y),
          static_cast<unsigned>(index / size.x / size.y)};
}

// The language gives kernels no handle to what runs them, so there is one executor per process.
Executor& executor() {
  static Executor instance;
  return instance;
}

__attribute__((no_sanitize("thread"))) void run_current_lane() { executor().run_lane(); }

KernelSubstitute* substitute_in_use = nullptr;
thread_local ScopedRecorder* recorder_in_use = nullptr;

void check_launch(dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  const char* what = nullptr;
  if (uint64_t{grid.x} * grid.y * grid.z == 0 || threads == 0) what = "a size is zero";
  if (threads > kMaxBlockThreads || block.z > kMaxBlockZ) what = "the block is too large";
  if (grid.x > kMaxGridX || std::max(grid.y, grid.z) > kMaxGridYZ) what = "the grid is too large";
  if (shared_bytes > kMaxSharedBytes) what = "dynamic shared memory passes 166912 bytes";
  if (what == nullptr) return;
  throw LaunchError(fmt::format("invalid launch: {}; grid {} block {} shared {}", what,
                                to_text(uint3{grid.x, grid.y, grid.z}),
                                to_text(uint3{block.x, block.y, block.z}), shared_bytes));
}

}  // namespace

Stacks::Stacks() {
  void* memory = mmap(nullptr, kAllStacksBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  for (size_t i = 0; i < kMaxBlockThreads; ++i) {
    mprotect(memory_ + i * kStackBytes, kGuardBytes, PROT_NONE);
  }
}
Stacks::~Stacks() { munmap(memory_, kAllStacksBytes); }

// Not instrumented by ThreadSanitizer, as run_lane: it counts calls and returns per fiber, and the
// last call on a fiber does not return.
__attribute__((no_sanitize("thread"))) void Executor::switch_to(int next) {
  const bool ends = current_ != kNobody && current().state == LaneState::kDone;
  Lane& from = current_ == kNobody ? home_ : current();
  const size_t index = static_cast<size_t>(next);
  Lane& to = next == kNobody ? home_ : lanes_[index];
  current_ = next;
  if (next != kNobody) {
    warp_of(next).ready &= ~(1u << (static_cast<unsigned>(next) % kWarpLanes));
    threadIdx = to.thread_idx;
  }
  if (__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack,
                                   next == kNobody ? home_bottom_ : stacks_.bottom(index),
                                   next == kNobody ? home_bytes_ : Stacks::bytes(index));
  }
  if (__tsan_switch_to_fiber != nullptr) __tsan_switch_to_fiber(to.tsan_fiber, 0);
  switch_context(from.context, to.context);
  if (__sanitizer_finish_switch_fiber != nullptr) {
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
  }
}

// First function on every fiber's stack. No exception may leave it, and it does not return.
__attribute__((no_sanitize("thread"))) void Executor::run_lane() {
  if (__sanitizer_finish_switch_fiber != nullptr) {
    const void* bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
    if (home_bottom_ == nullptr) {  // the first fiber of a launch comes from the launching thread
      home_bottom_ = bottom;
      home_bytes_ = bytes;
    }
  }
  try {
    body_(context_);
    end_lane();
  } catch (...) {
    error_ = std::current_exception();
    current().state = LaneState::kDone;
  }
  switch_to(error_ ? kNobody : pick_next());
}

void Executor::start_lane(int index) {
  const size_t i = static_cast<size_t>(index);
  // An earlier kernel's frames may still be marked as poisoned.
  if (__asan_unpoison_memory_region != nullptr) {
    __asan_unpoison_memory_region(stacks_.bottom(i), Stacks::bytes(i));
  }
  if (__tsan_create_fiber != nullptr && lanes_[i].tsan_fiber == nullptr) {
    lanes_[i].tsan_fiber = __tsan_create_fiber(0);  // kept: making one takes longer than a block
  }
  lanes_[i].context = make_context(stacks_.bottom(i), Stacks::bytes(i), &run_current_lane);
  lanes_[i].thread_idx = position_of(i, blockDim);
  lanes_[i].fake_stack = nullptr;
  lanes_[i].copies.clear();
  lanes_[i].copy_groups.clear();
  const uint32_t bit = 1u << (i % kWarpLanes);
  warp_of(index).started |= bit;
  warp_of(index).alive |= bit;
  make_ready(index);
}

void Executor::poison_shared() {
  if (!options.poison_shared) return;
  if (shared_ != nullptr) std::memset(shared_.get(), kPoison, shared_bytes_);
  if (__start_pg_shared != nullptr) {
    std::memset(__start_pg_shared, kPoison,
                static_cast<size_t>(__stop_pg_shared - __start_pg_shared));
  }
}

void Executor::run_block() {
  poison_shared();
  barrier_ = {};
  last_barrier_ = {};
  block_interval_ = ++interval_;
  warps_.assign((static_cast<size_t>(count_) + kWarpLanes - 1) / kWarpLanes, Warp{});
  for (Warp& warp : warps_) warp.priority = rng_();
  live_ = count_;
  cursor_ = options.schedule == Schedule::kReverse ? 0 : count_ - 1;
  for (int i = 0; i < count_; ++i) start_lane(i);
  current_ = kNobody;
  switch_to(pick_next());
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  if (live_ > 0) throw LaunchError(describe_stuck());
}

// ---- asynchronous copies ----------------------------------------------------------------------

void Executor::queue_copy(AsyncCopy copy) {
  note_access(copy.to, 16, true);  // from now on it may land
  if (options.copy_early) {
    copy.run(copy.to, copy.from);
  } else {
    current().copies.push_back(copy);
  }
}

void Executor::commit_copies() { current().copy_groups.push_back(current().copies.size()); }

void Executor::wait_for_copies(size_t groups_left) {
  Lane& lane = current();
  if (lane.copy_groups.size() <= groups_left) return;
  const size_t groups = lane.copy_groups.size() - groups_left;
  const size_t landing = lane.copy_groups[groups - 1];
  for (size_t i = 0; i < landing; ++i) lane.copies[i].run(lane.copies[i].to, lane.copies[i].from);
  lane.copies.erase(lane.copies.begin(), lane.copies.begin() + static_cast<ptrdiff_t>(landing));
  lane.copy_groups.erase(lane.copy_groups.begin(),
                         lane.copy_groups.begin() + static_cast<ptrdiff_t>(groups));
  for (size_t& end : lane.copy_groups) end -= landing;
}

// ---- grids ------------------------------------------------------------------------------------

void Executor::run_grid(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*),
                        void* context) {
  check_launch(grid, block, shared_bytes);
  const std::lock_guard lock(one_grid_at_a_time_);
  ++launches;
  gridDim = grid;
  blockDim = block;
  body_ = body;
  context_ = context;
  count_ = static_cast<int>(block.x * block.y * block.z);
  lanes_.resize(kMaxBlockThreads);
  home_bottom_ = nullptr;
  if (__tsan_get_current_fiber != nullptr) home_.tsan_fiber = __tsan_get_current_fiber();
  rng_.seed(options.seed);
  // A fresh allocation of the exact size: AddressSanitizer then sees an access past its end.
  void* shared = nullptr;
  if (shared_bytes > 0 && posix_memalign(&shared, kSharedAlignment, shared_bytes) != 0) {
    throw std::bad_alloc();
  }
  shared_.reset(shared);
  shared_bytes_ = shared_bytes;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t i = 0; i < blocks; ++i) {
    blockIdx = position_of(options.schedule == Schedule::kReverse ? blocks - 1 - i : i, grid);
    run_block();
  }
}

ScopedOptions::ScopedOptions(const Options& options) : saved_(executor().options) {
  executor().options = options;
}
ScopedOptions::~ScopedOptions() { executor().options = saved_; }

ScopedSubstitute::ScopedSubstitute(KernelSubstitute& substitute) : saved_(substitute_in_use) {
  substitute_in_use = &substitute;
}
ScopedSubstitute::~ScopedSubstitute() { substitute_in_use = saved_; }
KernelSubstitute* kernel_substitute() { return substitute_in_use; }

ScopedRecorder::ScopedRecorder() {
  if (recorder_in_use != nullptr) throw LaunchError("launches are recorded already");
  recorder_in_use = this;
}
ScopedRecorder::~ScopedRecorder() { recorder_in_use = nullptr; }
ScopedRecorder* launch_recorder() { return recorder_in_use; }

ScopedRunning::ScopedRunning() : saved_(std::exchange(recorder_in_use, nullptr)) {}
ScopedRunning::~ScopedRunning() { recorder_in_use = saved_; }

uint64_t launch_count() { return executor().launches; }

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context) {
  executor().run_grid(grid, block, shared_bytes, body, context);
}
int block_barrier(bool predicate, Site site) { return executor().block_barrier(predicate, site); }
void warp_collective(uint32_t mask, WarpFunction function, void* payload, Site site) {
  executor().warp_collective(mask, function, payload, site);
}
void queue_copy(CopyFunction run, void* to, const void* from) {
  executor().queue_copy({run, to, from});
}
void commit_copies() { executor().commit_copies(); }
void wait_for_copies(size_t groups_left) { executor().wait_for_copies(groups_left); }
unsigned lane_index() { return executor().lane_index(); }
void* dynamic_shared() { return executor().dynamic_shared(); }
size_t dynamic_shared_bytes() { return executor().dynamic_shared_bytes(); }
bool is_in_kernel() { return executor().is_in_kernel(); }
Moment current_moment() { return executor().moment(); }
void fail_thread(const char* what, Site site) {
  executor().fail(fmt::format("{} at {}", what, to_text(site)));
}

}  // namespace pg::simt
