#include "harness/bench/shape_device.h"

#include <sys/mman.h>

#include <map>

#include "src/base/error.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

class MappedDevice final : public ShapeDevice {
 public:
  explicit MappedDevice(std::unique_ptr<Device> inner)
      : ShapeDevice(std::string(inner->name()), inner->compute_dtype()), inner_(std::move(inner)) {}
  ~MappedDevice() override {
    for (const auto& [memory, bytes] : sizes_) munmap(memory, bytes);
  }

  Ops& ops() override { return inner_->ops(); }
  void* allocate(size_t bytes) override {
    const size_t mapped = bytes == 0 ? 1 : bytes;
    void* const memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      throw Error("out of address space: \"" + std::to_string(bytes) +
                  "\" bytes wanted; lower train.micro_batch_tokens or the model's sizes");
    }
    sizes_.emplace(memory, mapped);
    allocated_bytes_ += static_cast<int64_t>(mapped);
    return memory;
  }
  void release(void* memory) override {
    const auto found = sizes_.find(memory);
    if (found == sizes_.end()) return;
    munmap(memory, found->second);
    allocated_bytes_ -= static_cast<int64_t>(found->second);
    sizes_.erase(found);
  }
  int64_t allocated_bytes() const override { return allocated_bytes_; }
  DevicePeak measure_peak() override { return inner_->measure_peak(); }
  double measure_matmul() override { return inner_->measure_matmul(); }

 private:
  std::unique_ptr<Device> inner_;
  std::map<void*, size_t> sizes_;
  int64_t allocated_bytes_ = 0;
};

}  // namespace

std::unique_ptr<ShapeDevice> make_shape_device(const std::string& kind) {
  return std::make_unique<MappedDevice>(make_device(kind));
}

}  // namespace pg
