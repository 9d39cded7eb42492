// Which memory tests have allocated for kernels, and what a launch has written of it, for what checks
// every access.
#pragma once
#include <cstddef>

namespace pg::kerneltest {

void note_allocated(const void* memory, size_t bytes);
void note_released(const void* memory);

// Whether all of [at, at + bytes) lies in one allocation.
bool is_allocated(const void* at, size_t bytes);

// Writes noted from now on are those of another launch.
void begin_launch();
// Of allocated memory.
void note_written(const void* at, size_t bytes);
// Whether this launch has written any byte of allocated memory [at, at + bytes).
bool is_written(const void* at, size_t bytes);

}  // namespace pg::kerneltest
