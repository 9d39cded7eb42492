// The CUDA back end is a module beside the program, device_cuda.so, opened when a run asks for a GPU:
// the program itself starts, and trains on the CPU, where CUDA is not installed.
#pragma once
#include <memory>
#include <string>

#include "src/device/device.h"

namespace pg {

// A device on GPU number `place`, counted around. Throws Error where there is none, or no module, with the reason.
std::unique_ptr<Device> load_cuda_device(const std::string& name, DType compute, int place);

// GPUs of this machine. Throws Error where there is no module.
int count_cuda_devices();

// Empty where load_cuda_device() would give a device, else the reason.
std::string why_no_cuda();

}  // namespace pg
