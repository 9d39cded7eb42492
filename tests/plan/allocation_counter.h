// Counts the C++ allocations of a test program, except those inside oneDNN: each of its execute
// calls builds a small map that no caller can spare it. Replaces operator new, so one source of a
// program includes it and no more.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "tests/plan/onednn_caller.h"

namespace pg {

inline std::atomic<bool> allocations_counted = false;
inline std::atomic<int64_t> allocation_count = 0;

// Allocations of `body`.
template <class Body>
int64_t count_allocations(const Body& body) {
  const int64_t before = allocation_count;
  allocations_counted = true;
  body();
  allocations_counted = false;
  return allocation_count - before;
}

inline void* allocate_counted(size_t bytes, const void* caller) {
  if (allocations_counted && !is_in_onednn(caller)) ++allocation_count;
  return std::malloc(bytes);
}

}  // namespace pg

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return pg::allocate_counted(bytes, __builtin_return_address(0));
}
void* operator new(size_t bytes) {
  if (void* p = pg::allocate_counted(bytes, __builtin_return_address(0))) return p;
  throw std::bad_alloc();
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wmismatched-new-delete"  // it is matched: operator new above uses malloc
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#pragma GCC diagnostic pop
