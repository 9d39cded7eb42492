#include "src/device/host_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "src/base/error.h"

namespace pg {

void* HostDevice::allocate(size_t bytes) {
  // Arenas of many MB would miss the TLB in every op on 4 KiB pages.
  constexpr size_t kAlignment = 64, kHugePage = size_t{2} << 20;
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const size_t rounded = std::max(bytes + alignment - 1, alignment) / alignment * alignment;
  void* const memory = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) {
    throw Error("out of memory: \"" + std::to_string(bytes) +
                "\" bytes wanted; use a smaller batch or model");
  }
  // Advice only: a kernel without huge pages refuses it and nothing else changes.
  if (alignment == kHugePage) (void)madvise(memory, rounded, MADV_HUGEPAGE);
  return std::memset(memory, 0, rounded);
}

void HostDevice::release(void* memory) { std::free(memory); }

void HostDevice::upload(void* device_to, const void* host_from, size_t bytes) {
  std::memcpy(device_to, host_from, bytes);
}

void HostDevice::download(void* host_to, const void* device_from, size_t bytes) {
  std::memcpy(host_to, device_from, bytes);
}

void HostDevice::copy(void* device_to, const void* device_from, size_t bytes) {
  std::memcpy(device_to, device_from, bytes);
}

}  // namespace pg
