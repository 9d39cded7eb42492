#include "src/device/simt/simt_device.h"

#include "src/device/cuda/gpu_device.h"
#include "src/device/simt/host_runtime.h"

namespace pg {

std::unique_ptr<Device> make_simt_device(DType compute) {
  return std::make_unique<GpuDevice>("simt", std::make_unique<HostRuntime>(), compute);
}

}  // namespace pg
