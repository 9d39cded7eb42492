// PG_CHECK for programmer mistakes: on in release builds, prints the condition, a message and the
// place, then aborts. Never use it on input: a user's mistake throws Error, untrusted bytes return
// Result.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace pg {

[[noreturn]] inline void fail_check(const char* condition, const char* message, const char* file,
                                    int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s (%s)\n", file, line, condition, message);
  std::abort();
}

}  // namespace pg

#define PG_CHECK(condition, message) \
  ((condition) ? void(0) : ::pg::fail_check(#condition, message, __FILE__, __LINE__))

#if defined(NDEBUG)
#define PG_DCHECK(condition, message) void(0)
#else
#define PG_DCHECK(condition, message) PG_CHECK(condition, message)
#endif
