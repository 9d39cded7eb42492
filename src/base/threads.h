// Parallel loops whose results do not depend on the number of threads.
//
// Work is cut into chunks by the caller, from sizes alone. Threads take chunks dynamically, so that
// a core that is busy with something else does not stall the rest; determinism comes from what a
// chunk computes, not from who computes it. A chunk writes only its own outputs; partial sums are
// combined in chunk order.
//
// Why not OpenMP: the barrier of its parallel regions waits for every thread, also for one that
// took no chunk because a neighbour's process holds its core. On a busy two-core machine that made
// a training step twenty times slower. Here the caller waits only for chunks that somebody has
// begun.
#pragma once
#include <cstdint>
#include <memory>

namespace pg {

class ThreadPool;

// Threads that parallel_chunks uses, the caller included: OMP_NUM_THREADS when set, but at most four
// to a core; else the cores this process may use, but no more than its container's quota
// (cpu_quota.h). Fewer, with a warning on stderr, where the system refuses to start them.
int thread_count();
// Of this thread's own threads (OwnThreads) where it has some. Waits for a running loop. Not from
// inside a loop's body.
void set_thread_count(int count);
// This thread's number within the loop it runs in, 0 <= index < thread_count(); 0 outside loops.
int thread_index();

// From now on every loop that this thread starts runs on it alone: for work in the background,
// which would otherwise take the threads from the loop of somebody who waits. Not for code that
// uses thread_index().
void run_own_loops_serially();

// While it lives, the loops that this thread starts run on `count` threads of its own, itself
// included, and thread_count() and thread_index() speak of those: for ranks of one process, which
// would otherwise take the process's threads from each other. Ends on the thread that made it, the
// latest made first. A thread that this one starts does not inherit it.
class OwnThreads {
 public:
  explicit OwnThreads(int count);
  ~OwnThreads();
  OwnThreads(const OwnThreads&) = delete;

 private:
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<ThreadPool>* outer_;
};

namespace internal {
using ChunkBody = void (*)(const void* context, int64_t chunk);
void run_chunks(int64_t chunks, ChunkBody body, const void* context);
}  // namespace internal

// Runs body(chunk) for chunk in [0, chunks), in any order, on all threads. What a body throws
// (memory may run out on any thread) reaches the caller, who cannot know which chunks were done.
// A call from inside a body, or while another thread that shares these threads runs a loop, runs
// serially.
template <class Body>
void parallel_chunks(int64_t chunks, const Body& body) {
  internal::run_chunks(
      chunks,
      [](const void* context, int64_t chunk) { (*static_cast<const Body*>(context))(chunk); },
      &body);
}

// Cuts [0, count) into pieces of `grain` and runs body(begin, end) for each, as parallel_chunks
// does.
template <class Body>
void parallel_ranges(int64_t count, int64_t grain, const Body& body) {
  parallel_chunks((count + grain - 1) / grain, [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

}  // namespace pg
