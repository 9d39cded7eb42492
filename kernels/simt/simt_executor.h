// Runs a grid of CUDA threads on the host: every thread is a fiber, blocks run one after the other
// on the calling OS thread. Kernels never include this; they see it as CUDA through dialect.h.
// Tests use the first half to choose schedules.
//
// Kept: block barriers and warp collectives with masks, early exit, static and dynamic shared
// memory (poisoned with NaN before each block), launch limits. A kernel that diverges at a
// collective does not hang: the launch throws and names the source lines. A race shows as a result
// that depends on the schedule, and simt_races.h finds one without a lucky schedule. Not kept: weak
// memory ordering, blocks in parallel (no spinning on another block), timing. What nvcc made of a
// kernel runs on the same fibers through a KernelSubstitute (tests/simt/ptx/).
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};

// CUDA's own names for what the language predefines. Globals, because a kernel reads them as such;
// the executor rewrites them at every switch.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

struct CUstream_st;  // the CUDA runtime's own name for what a cudaStream_t points to

namespace pg::simt {

// ---- for tests ------------------------------------------------------------------------------

// Which thread runs next. Forward and reverse sweep over the block; random picks any; greedy gives
// every warp a random priority and always runs the best runnable one, which starves the others and
// so exposes the write-after-read races that fair orders hide.
enum class Schedule : uint8_t { kForward, kReverse, kGreedy, kRandom };

struct Options {
  Schedule schedule = Schedule::kForward;
  uint64_t seed = 1;
  bool poison_shared = true;
  // When an asynchronous copy lands: at the wait for it, as late as is legal, which shows a missing
  // wait; or at once, which shows one that overwrites what others still read.
  bool copy_early = false;
  // A thread that exits before a barrier or a warp operation others wait at: legal since Volta,
  // nearly always a bug.
  bool allow_early_exit = false;
};

// Options of all launches while it lives; one at a time.
class ScopedOptions {
 public:
  explicit ScopedOptions(const Options& options);
  ~ScopedOptions();
  ScopedOptions(const ScopedOptions&) = delete;
  ScopedOptions& operator=(const ScopedOptions&) = delete;

 private:
  Options saved_;
};

// A kernel or launch that a GPU would reject, hang on or leave undefined.
class LaunchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Grids run by this process so far; shows that a launcher really launched.
uint64_t launch_count();

// An argument of a launch, of the parameter's own type.
struct KernelArgument {
  const void* value;
  size_t bytes;
};

// Runs launches in place of the kernels' host code.
class KernelSubstitute {
 public:
  virtual ~KernelSubstitute() = default;
  // kernel: the host function's address, which stands for its name.
  virtual void launch(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                      std::span<const KernelArgument> arguments) = 0;
};

// Takes all launches while it lives.
class ScopedSubstitute {
 public:
  explicit ScopedSubstitute(KernelSubstitute& substitute);
  ~ScopedSubstitute();
  ScopedSubstitute(const ScopedSubstitute&) = delete;
  ScopedSubstitute& operator=(const ScopedSubstitute&) = delete;

 private:
  KernelSubstitute* saved_;
};

// Records the launches of this thread while it lives instead of running them; one at a time. What is
// recorded holds the arguments as they were. A subclass may do otherwise with them.
class ScopedRecorder {
 public:
  ScopedRecorder();
  virtual ~ScopedRecorder();
  ScopedRecorder(const ScopedRecorder&) = delete;
  ScopedRecorder& operator=(const ScopedRecorder&) = delete;
  void add(std::function<void()> work) { recorded_.push_back(std::move(work)); }
  // kernel: the host function's address, which stands for its name.
  virtual void add_launch(std::function<void()> work, const void* /*kernel*/,
                          ::CUstream_st* /*stream*/) {
    add(std::move(work));
  }
  std::vector<std::function<void()>> take() { return std::move(recorded_); }

 private:
  std::vector<std::function<void()>> recorded_;
};

// Launches of this thread run while it lives, whoever records.
class ScopedRunning {
 public:
  ScopedRunning();
  ~ScopedRunning();
  ScopedRunning(const ScopedRunning&) = delete;
  ScopedRunning& operator=(const ScopedRunning&) = delete;

 private:
  ScopedRecorder* saved_;
};

// ---- for simt_host.h ------------------------------------------------------------------------

KernelSubstitute* kernel_substitute();  // null: none
ScopedRecorder* launch_recorder();      // of this thread; null: none

// Where a collective is called from. As a default argument here() is the caller's place
// (std::source_location is missing from clang 14).
struct Site {
  const char* file = "";
  int line = 0;

  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

inline constexpr unsigned kWarpLanes = 32;

// Runs body(context) once per thread of the grid. Throws LaunchError, or what the body threw.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context);

// Waits for all live threads of the block; returns how many of them passed a true predicate.
int block_barrier(bool predicate, Site site);

// Waits for the lanes named in mask; the last to come calls function(payloads) with one pointer per
// lane, null for those absent, which it may write through; then all go on.
using WarpFunction = void (*)(void* const* payloads);
void warp_collective(uint32_t mask, WarpFunction function, void* payload, Site site);

// An asynchronous copy by this thread, done by run(to, from), and the groups of them:
// wait_for_copies returns when all but the `groups_left` newest groups have landed.
using CopyFunction = void (*)(void* to, const void* from);
void queue_copy(CopyFunction run, void* to, const void* from);
void commit_copies();
void wait_for_copies(size_t groups_left);

// This thread's lane in its warp.
unsigned lane_index();
void* dynamic_shared();
size_t dynamic_shared_bytes();
[[noreturn]] void fail_thread(const char* what, Site site);

// ---- for simt_races.cpp ---------------------------------------------------------------------

// What orders the accesses of the running thread: those of different intervals are ordered for the
// whole block, those of different steps for its warp.
struct Moment {
  unsigned thread = 0;          // in its block
  uint64_t interval = 0;        // blocks and barriers so far, of all launches; at least 1
  uint64_t block_interval = 0;  // the block's first
  uint64_t step = 0;            // __syncwarp() of its warp so far, in the block
  Site barrier;                 // the block's last; line 0 before the first
};
bool is_in_kernel();
Moment current_moment();

}  // namespace pg::simt
