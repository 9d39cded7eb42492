// The memory of a device that only its ops and its copies may touch, as that of a GPU: whatever else
// reads or writes it ends the process at that instruction. For tests of what is above the seam.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

// `inner` computes in host memory.
std::unique_ptr<Device> make_fenced_device(std::unique_ptr<Device> inner);

}  // namespace pg
