// GpuAttention by cuDNN, through its C++ front end. Where the build has no front end,
// no_cudnn_attention.cpp stands in, which says so.
#pragma once
#include <memory>
#include <string_view>

#include "kernels/kernel_args.h"
#include "src/device/cuda/gpu_attention.h"

namespace pg {

// On the GPU that is current, of that compute capability (90 is 9.0); work goes to `stream`. Throws
// Error where cuDNN is missing or too old.
std::unique_ptr<GpuAttention> make_cudnn_attention(kernels::Stream stream, int compute_capability);

// Makes plans for a GPU that need not be there, and runs none. device: as cuDNN describes one in
// JSON (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION).
std::unique_ptr<GpuAttention> make_cudnn_planner(std::string_view device, int compute_capability);

}  // namespace pg
