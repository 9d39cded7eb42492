#pragma once
#include <span>

#include "src/device/device.h"

namespace pg {

// The values of a real tensor as floats; allocates only where the device keeps another type.
void download_floats(Device& device, const void* from, DType dtype, std::span<float> out);

}  // namespace pg
