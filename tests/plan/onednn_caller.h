// Counters of a test program leave out what oneDNN does inside its own calls.
#pragma once
#include <dlfcn.h>

#include <cstring>

namespace pg {

// Whether an address lies in oneDNN's library.
inline bool is_in_onednn(const void* caller) {
  Dl_info place;
  const bool known = dladdr(caller, &place) != 0 && place.dli_fname != nullptr;
  return known && std::strstr(place.dli_fname, "dnnl") != nullptr;
}

}  // namespace pg
