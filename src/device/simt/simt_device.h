// The CUDA back end on the host: the kernels' own source, run by the fiber executor of kernels/, and
// the same launchers and op table as on a GPU. For tests: slow, but it executes all that a GPU would.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

std::unique_ptr<Device> make_simt_device(DType compute);  // kBF16 or kF32

}  // namespace pg
