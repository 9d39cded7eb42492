// Counts the mutexes that a test program locks, except those inside oneDNN. Replaces
// pthread_mutex_lock, so one source of a program includes it and no more. A try that does not wait
// is no lock. Sanitizers replace it themselves: with them nothing is counted.
#pragma once
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "tests/plan/onednn_caller.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PG_LOCKS_ARE_COUNTED 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PG_LOCKS_ARE_COUNTED 0
#endif
#ifndef PG_LOCKS_ARE_COUNTED
#define PG_LOCKS_ARE_COUNTED 1
#endif

namespace pg {

inline std::atomic<bool> locks_counted = false;
inline std::atomic<int64_t> lock_count = 0;

// Locks taken, by any thread, during `body`.
template <class Body>
int64_t count_locks(const Body& body) {
  const int64_t before = lock_count;
  locks_counted = true;
  body();
  locks_counted = false;
  return lock_count - before;
}

}  // namespace pg

#if PG_LOCKS_ARE_COUNTED
extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const auto lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  if (pg::locks_counted && !pg::is_in_onednn(__builtin_return_address(0))) ++pg::lock_count;
  return lock(mutex);
}
#endif
