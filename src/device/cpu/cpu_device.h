// The CPU device: plain memory and CpuOps.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

// True when the processor multiplies bf16 in hardware (AVX-512 BF16 or AMX); elsewhere f32 is
// faster.
bool cpu_has_fast_bf16();
// compute: kBF16 or kF32. bf16 works on every machine, if slowly.
std::unique_ptr<Device> make_cpu_device(DType compute);

}  // namespace pg
