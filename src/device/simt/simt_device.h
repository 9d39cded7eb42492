// The CUDA kernels' own source, compiled for the host and run by the fiber executor of kernels/;
// ops without a kernel fall back to the reference. For tests: slow, but it executes every launcher
// a GPU would.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

std::unique_ptr<Device> make_simt_device();

}  // namespace pg
