// Finds races on shared memory without needing a schedule that shows them, and reads of what no thread
// of the block has written. Kernels compiled with
// -fsanitize=thread and linked with simt_race_hooks.cpp instead of that sanitizer's library report each
// access; two of different threads, one of them a write, must have a barrier between them, or a
// __syncwarp() within a warp. Shuffles and votes order nothing, as on a GPU. Atomic operations are
// not looked at, nor is global memory; a __syncwarp() of some lanes counts as one of all.
#pragma once
#include <cstddef>
#include <string>

namespace pg::simt {

// Whether accesses are looked at from now on.
void watch_accesses(bool are_watched = true);
bool are_accesses_watched();

// Hears of every access of a kernel to other memory than the block's shared, its stack included; null:
// nobody. For who orders the work of streams, in tests/simt/fake_cuda.
using AccessListener = void (*)(const void* at, size_t bytes, bool is_write);
void listen_to_accesses(AccessListener listener);

// The running thread has read or written `bytes` bytes.
void note_access(const void* at, size_t bytes, bool is_write);

// The first race since the last call, in words; "" when there was none.
std::string take_race();

}  // namespace pg::simt
