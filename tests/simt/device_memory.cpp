#include "tests/simt/device_memory.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace pg::kerneltest {
namespace {

struct Allocation {
  uintptr_t begin = 0, end = 0;
  std::vector<uint32_t> writes;  // the launch that wrote a byte last; empty until there is one
};

struct Memory {
  std::map<uintptr_t, Allocation> allocations;  // by their ends
  // The allocations met last, by the addresses that met them.
  std::array<Allocation*, 256> recent{};
  uint32_t launch = 0;

  // Null: not all of it lies in one.
  Allocation* find(const void* at, size_t bytes) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(at), end = begin + bytes;
    Allocation*& met = recent[begin / 1024 % recent.size()];
    if (met != nullptr && met->begin <= begin && end <= met->end) return met;
    const auto found = allocations.upper_bound(begin);
    if (found == allocations.end() || begin < found->second.begin || found->second.end < end) {
      return nullptr;
    }
    return met = &found->second;
  }
};

Memory& memory() {
  static Memory instance;
  return instance;
}

}  // namespace

void note_allocated(const void* start, size_t bytes) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(start);
  if (bytes > 0) memory().allocations[begin + bytes] = {begin, begin + bytes, {}};
}

void note_released(const void* start) {
  Memory& m = memory();
  m.recent = {};
  const uintptr_t begin = reinterpret_cast<uintptr_t>(start);
  const auto found = m.allocations.upper_bound(begin);
  if (found != m.allocations.end() && found->second.begin == begin) m.allocations.erase(found);
}

bool is_allocated(const void* at, size_t bytes) { return memory().find(at, bytes) != nullptr; }

void begin_launch() { ++memory().launch; }

void note_written(const void* at, size_t bytes) {
  Allocation& allocation = *memory().find(at, bytes);
  std::vector<uint32_t>& writes = allocation.writes;
  if (writes.empty()) writes.resize(allocation.end - allocation.begin);
  std::fill_n(
      writes.begin() + static_cast<ptrdiff_t>(reinterpret_cast<uintptr_t>(at) - allocation.begin),
      bytes, memory().launch);
}

bool is_written(const void* at, size_t bytes) {
  const Allocation& allocation = *memory().find(at, bytes);
  if (allocation.writes.empty()) return false;
  const auto first = allocation.writes.begin() +
                     static_cast<ptrdiff_t>(reinterpret_cast<uintptr_t>(at) - allocation.begin);
  return std::find(first, first + static_cast<ptrdiff_t>(bytes), memory().launch) !=
         first + static_cast<ptrdiff_t>(bytes);
}

}  // namespace pg::kerneltest
