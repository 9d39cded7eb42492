// Working memory of CudaOps within one op: named slots that grow at first use and are kept, so that
// a repeated step allocates nothing.
#pragma once
#include <cstdint>
#include <vector>

#include "src/device/cuda/gpu_runtime.h"

namespace pg {

class GpuScratch {
 public:
  explicit GpuScratch(GpuRuntime& runtime) : runtime_(runtime) {}
  GpuScratch(const GpuScratch&) = delete;
  GpuScratch& operator=(const GpuScratch&) = delete;
  ~GpuScratch() {
    for (const Slot& slot : slots_) {
      if (slot.memory != nullptr) runtime_.release(slot.memory);
    }
  }

  // How often memory has been given up for larger: work that was recorded before must not run again.
  uint64_t growths() const { return growths_; }

  // At least `count` elements of T, of unspecified content, until the same slot is asked for again;
  // aligned to 256 bytes, whatever the runtime gives.
  template <class T>
  T* of(size_t slot, int64_t count) {
    return static_cast<T*>(grow(slot, static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  struct Slot {
    void* memory = nullptr;
    size_t bytes = 0;
  };

  static constexpr size_t kAlignment = 256;

  void* grow(size_t index, size_t bytes) {
    if (slots_.size() <= index) slots_.resize(index + 1);
    Slot& slot = slots_[index];
    if (slot.bytes < bytes) {
      if (slot.memory != nullptr) {
        runtime_.synchronize();  // what is queued may still use the old memory
        runtime_.release(slot.memory);
        slot = {};
        ++growths_;
      }
      slot = {runtime_.allocate(bytes + kAlignment), bytes};
    }
    const auto address = reinterpret_cast<uintptr_t>(slot.memory);
    return static_cast<std::byte*>(slot.memory) + (kAlignment - address % kAlignment) % kAlignment;
  }

  GpuRuntime& runtime_;
  std::vector<Slot> slots_;
  uint64_t growths_ = 0;
};

}  // namespace pg
