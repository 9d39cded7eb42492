// What hosts copy themselves, as out of pinned memory, is an access too: linked with --wrap=memcpy.
#include <cstddef>

#include "tests/simt/fake_cuda/fake_streams.h"

extern "C" void* __real_memcpy(void* to, const void* from, size_t bytes);

extern "C" void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  pg::fake_cuda::note_host_access("a host's copy", from, bytes, false);
  pg::fake_cuda::note_host_access("a host's copy", to, bytes, true);
  return __real_memcpy(to, from, bytes);
}
