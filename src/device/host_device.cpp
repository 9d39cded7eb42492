#include "src/device/host_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "src/base/error.h"
// <train_gpt>
#include <fmt/format.h>

#include <optional>

#include "src/base/host/available_memory.h"
// </train_gpt>

namespace pg {
// <train_gpt>
namespace {

// The kernel promises more than it has and ends the program that comes to use it.
void refuse_what_is_not_there(size_t bytes) {
  constexpr size_t kWorthAsking = size_t{1} << 30;
  if (bytes < kWorthAsking) return;
  const std::optional<int64_t> available = read_available_memory();
  if (!available || bytes <= static_cast<uint64_t>(*available)) return;
  throw Error(fmt::format(
      "out of memory: {:.1f} GB wanted at once, and {:.1f} are to be had; use a smaller model, or "
      "less of train.micro_batch_tokens, eval.batch_tokens, ttt.batch_tokens or eval.context",
      static_cast<double>(bytes) / 1e9, static_cast<double>(*available) / 1e9));
}

}  // namespace
// </train_gpt>

void* HostDevice::allocate(size_t bytes) {
  // <train_gpt>
  refuse_what_is_not_there(bytes);
  // </train_gpt>
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
