// Working memory of CpuOps: named slots per thread and shared ones, grown at first use and kept, so
// that a repeated step allocates nothing.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "src/base/check.h"

namespace pg {

// The thread count may be raised after a device was made; a place that no thread uses costs 32
// bytes.
inline constexpr int kMaxCpuThreads = 1024;

class CpuScratch {
 public:
  explicit CpuScratch(int threads) : slots_(static_cast<size_t>(threads) + 1) {}

  // At least `bytes` of 64-byte-aligned memory of this thread (thread_index()), valid until the
  // same thread asks for the same slot again. Contents are unspecified.
  void* of_thread(int thread, size_t slot, size_t bytes) {
    PG_CHECK(static_cast<size_t>(thread) + 1 < slots_.size(),
             "more threads than CpuScratch was made for");
    return grow(slots_[static_cast<size_t>(thread) + 1], slot, bytes);
  }
  // The same, one buffer for all threads; ask outside parallel regions.
  void* shared(size_t slot, size_t bytes) { return grow(slots_[0], slot, bytes); }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  struct Slot {
    std::unique_ptr<void, Free> memory;
    size_t bytes = 0;
  };
  using Slots = std::vector<Slot>;

  static void* grow(Slots& slots, size_t index, size_t bytes) {
    if (slots.size() <= index) slots.resize(index + 1);
    Slot& slot = slots[index];
    if (slot.bytes < bytes) {
      const size_t rounded = (bytes + 63) / 64 * 64;
      slot.bytes = 0;
      slot.memory.reset(std::aligned_alloc(64, rounded));
      if (slot.memory == nullptr) throw std::bad_alloc();
      slot.bytes = rounded;
    }
    return slot.memory.get();
  }
  std::vector<Slots> slots_;  // [0] shared, [1 + thread] per thread
};

}  // namespace pg
