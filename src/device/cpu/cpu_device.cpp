#include "src/device/cpu/cpu_device.h"

#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/cpu_peak.h"
#include "src/device/host_device.h"

namespace pg {
namespace {

class CpuDevice final : public HostDevice {
 public:
  explicit CpuDevice(DType compute)
      : HostDevice(compute == DType::kBF16 ? "cpu:bf16" : "cpu:exact", compute), ops_(compute) {}

  Ops& ops() override { return ops_; }
  // Of the library's products nobody promises it.
  bool rows_are_independent() const override { return compute_dtype() == DType::kF32; }
  DevicePeak measure_peak() override { return peak_.measure(); }
  double measure_matmul() override { return peak_.measure_matmul(); }

 private:
  CpuOps ops_;
  CpuPeak peak_{*this, ops_};
};

}  // namespace

bool cpu_has_fast_bf16() { return onednn_has(OnednnIsa::kAvx512Bf16); }

std::unique_ptr<Device> make_cpu_device(DType compute) {
  return std::make_unique<CpuDevice>(compute);
}

}  // namespace pg
