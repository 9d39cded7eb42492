// The executor's state, shared by its two source files and nobody else: simt_executor.cpp
// (launches, blocks, fibers) and simt_scheduler.cpp (who runs next, collectives).
//
// Fibers switch straight from one to the next; the last arrival completes a collective. The thread
// that asked for the launch gets control back when no fiber can run: the block is done, or stuck.
#pragma once
#include <array>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "kernels/simt/simt_executor.h"
#include "kernels/simt/simt_switch.h"

namespace pg::simt {

constexpr size_t kMaxBlockThreads = 1024;
constexpr size_t kStackBytes = 64 * 1024;
constexpr size_t kGuardBytes = 4096;

enum class LaneState : uint8_t { kReady, kAtBarrier, kAtWarpOperation, kDone };

struct AsyncCopy {
  CopyFunction run;
  void* to;
  const void* from;
};

struct Lane {
  Context context;
  uint3 thread_idx;
  LaneState state = LaneState::kDone;
  std::vector<AsyncCopy> copies;    // not landed yet
  std::vector<size_t> copy_groups;  // of them: copies before the end of each group
  void* fake_stack = nullptr;       // AddressSanitizer's
  void* tsan_fiber = nullptr;       // ThreadSanitizer's
};

struct WarpOperation {
  uint32_t mask = 0, arrived = 0;
  WarpFunction function = nullptr;
  Site where;
  std::array<void*, kWarpLanes> payloads{};
};

struct Warp {
  uint32_t started = 0, alive = 0, ready = 0;
  uint64_t priority = 0;  // of the greedy schedule
  uint64_t step = 0;      // __syncwarp() so far
  std::vector<WarpOperation> pending;
};

struct Barrier {
  int arrived = 0, votes = 0, result = 0;
  Site where;
};

// 1024 stacks in one reservation, a guard page at the foot of each.
class Stacks {
 public:
  Stacks();
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  char* bottom(size_t lane) const { return memory_ + lane * kStackBytes + kGuardBytes; }
  // Tops differ in their low bits: at equal ones, the hot lines of all stacks would share a few
  // cache sets.
  static size_t bytes(size_t lane) { return kStackBytes - kGuardBytes - lane % 32 * 128; }

 private:
  char* memory_ = nullptr;
};

std::string to_text(Site site);
std::string to_text(uint3 position);

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

class Executor {
 public:
  Options options;
  uint64_t launches = 0;

  void run_grid(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context);
  int block_barrier(bool predicate, Site site);
  void warp_collective(uint32_t mask, WarpFunction function, void* payload, Site site);
  void queue_copy(AsyncCopy copy);
  void commit_copies();
  void wait_for_copies(size_t groups_left);
  unsigned lane_index() const { return static_cast<unsigned>(current_) % kWarpLanes; }
  void* dynamic_shared() const { return shared_.get(); }
  size_t dynamic_shared_bytes() const { return shared_bytes_; }
  bool is_in_kernel() const { return current_ != kNobody; }
  Moment moment() const;
  [[noreturn]] void fail(const std::string& what) const;
  void run_lane();

 private:
  static constexpr int kNobody = -1;

  void run_block();
  void start_lane(int index);
  void poison_shared();
  int pick_next();
  int ready_from(int start) const;
  int ready_down_from(int start) const;
  void make_ready(int index);
  void wait(LaneState state);
  void switch_to(int next);
  void end_lane();
  void release_barrier();
  void complete(Warp& warp, int warp_index, size_t operation);
  std::string describe_stuck() const;

  Lane& current() { return lanes_[static_cast<size_t>(current_)]; }
  Warp& warp_of(int index) { return warps_[static_cast<size_t>(index) / kWarpLanes]; }

  std::mutex one_grid_at_a_time_;
  Stacks stacks_;
  std::vector<Lane> lanes_;
  std::vector<Warp> warps_;
  Barrier barrier_;
  std::unique_ptr<void, Free> shared_;
  size_t shared_bytes_ = 0;
  void (*body_)(void*) = nullptr;
  void* context_ = nullptr;
  int count_ = 0, live_ = 0;
  int current_ = kNobody, cursor_ = 0;
  uint64_t interval_ = 0, block_interval_ = 0;  // see Moment
  Site last_barrier_;
  std::mt19937_64 rng_;
  std::exception_ptr error_;
  Lane home_;  // the thread that launched
  const void* home_bottom_ = nullptr;
  size_t home_bytes_ = 0;
};

}  // namespace pg::simt
