// Parallel loops whose results do not depend on the number of threads.
//
// Work is cut into chunks by the caller, from sizes alone. Threads take chunks dynamically, so that a core that
// is busy with something else does not stall the rest; determinism comes from what a chunk computes, not
// from who computes it. A chunk writes only its own outputs; partial sums are combined in chunk order.
#pragma once
#include <cstdint>

namespace pg {

// Threads that parallel_chunks uses: OMP_NUM_THREADS or the machine's cores, or what set_thread_count said.
int thread_count();
void set_thread_count(int count);

// Runs body(chunk) for chunk in [0, chunks), in any order, on all threads. The body must not throw.
// A call from inside a body runs serially.
template <class Body>
void parallel_chunks(int64_t chunks, const Body& body) {
  if (chunks == 1) {
    body(int64_t{0});
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) body(chunk);
}

// Cuts [0, count) into pieces of `grain` and runs body(begin, end) for each, as parallel_chunks does.
template <class Body>
void parallel_ranges(int64_t count, int64_t grain, const Body& body) {
  parallel_chunks((count + grain - 1) / grain, [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

}  // namespace pg
