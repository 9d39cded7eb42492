// Host memory, as the reference device has it, and SimtOps.
#include "src/device/simt/simt_device.h"

#include "src/device/reference/reference_device.h"
#include "src/device/simt/simt_ops.h"

namespace pg {
namespace {

class SimtDevice final : public Device {
 public:
  std::string_view name() const override { return "simt"; }
  Ops& ops() override { return ops_; }
  DType compute_dtype() const override { return DType::kBF16; }

  void* allocate(size_t bytes) override { return host_->allocate(bytes); }
  void release(void* memory) override { host_->release(memory); }
  void upload(void* device_to, const void* host_from, size_t bytes) override {
    host_->upload(device_to, host_from, bytes);
  }
  void download(void* host_to, const void* device_from, size_t bytes) override {
    host_->download(host_to, device_from, bytes);
  }
  void synchronize() override {}  // launches return when the grid is done

  DevicePeak measure_peak() override {
    DevicePeak peak = host_->measure_peak();
    peak.description = "1 thread, CUDA kernels on fibers, other ops in double loops";
    return peak;
  }

 private:
  std::unique_ptr<Device> host_ = make_reference_device(DType::kBF16);
  SimtOps ops_;
};

}  // namespace

std::unique_ptr<Device> make_simt_device() { return std::make_unique<SimtDevice>(); }

}  // namespace pg
