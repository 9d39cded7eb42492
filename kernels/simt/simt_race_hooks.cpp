// What code compiled with -fsanitize=thread calls, in place of that sanitizer's library; see
// simt_races.h.
#include <cstring>

#include "kernels/simt/simt_races.h"

#define PG_ACCESS_HOOKS(BYTES)                                                             \
  void __tsan_read##BYTES(void* at) { pg::simt::note_access(at, BYTES, false); }           \
  void __tsan_write##BYTES(void* at) { pg::simt::note_access(at, BYTES, true); }           \
  void __tsan_unaligned_read##BYTES(void* at) { pg::simt::note_access(at, BYTES, false); } \
  void __tsan_unaligned_write##BYTES(void* at) { pg::simt::note_access(at, BYTES, true); }

extern "C" {
PG_ACCESS_HOOKS(1)
PG_ACCESS_HOOKS(2)
PG_ACCESS_HOOKS(4)
PG_ACCESS_HOOKS(8)
PG_ACCESS_HOOKS(16)
void __tsan_read_range(void* at, size_t bytes) { pg::simt::note_access(at, bytes, false); }
void __tsan_write_range(void* at, size_t bytes) { pg::simt::note_access(at, bytes, true); }
// clang has these for what stays a call.
void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
  pg::simt::note_access(from, bytes, false);
  pg::simt::note_access(to, bytes, true);
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, size_t bytes) {
  pg::simt::note_access(from, bytes, false);
  pg::simt::note_access(to, bytes, true);
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, size_t bytes) {
  pg::simt::note_access(to, bytes, true);
  return std::memset(to, value, bytes);
}
void __tsan_init() { pg::simt::watch_accesses(); }  // before main()
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
}
