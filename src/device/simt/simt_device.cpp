// Host memory and SimtOps.
#include "src/device/simt/simt_device.h"

#include "src/device/host_device.h"
#include "src/device/reference/reference_device.h"
#include "src/device/simt/simt_ops.h"

namespace pg {
namespace {

class SimtDevice final : public HostDevice {
 public:
  SimtDevice() : HostDevice("simt", DType::kBF16) {}

  Ops& ops() override { return ops_; }

  DevicePeak measure_peak() override {
    DevicePeak peak = make_reference_device(compute_dtype())->measure_peak();
    peak.description = "1 thread, CUDA kernels on fibers, other ops in double loops";
    return peak;
  }
  double measure_matmul() override {
    return make_reference_device(compute_dtype())->measure_matmul();
  }

 private:
  SimtOps ops_;
};

}  // namespace

std::unique_ptr<Device> make_simt_device() { return std::make_unique<SimtDevice>(); }

}  // namespace pg
