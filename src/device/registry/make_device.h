// The devices of this build, by name. A room of its own, so that back ends may include the seam and the seam no back end.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "src/device/device.h"

namespace pg {

// What a score is computed on, so that it has one value: the same bits on every processor.
inline constexpr std::string_view kExactDevice = "cpu:exact";

// "cpu" (bf16 where the machine has fast bf16, else exact), "cpu:exact" (f32, the same bits on every
// processor), "cpu:bf16", "reference" (f32 storage), "cuda" (bf16 on a GPU), "cuda:cudnn" (the same
// with cuDNN's attention), "cuda:cudnn_forward" (with that of the forward pass alone), "cuda:f32",
// "simt" and "simt:f32" (the CUDA kernels on the host), "fenced" (cpu, in memory that nothing above the
// seam may touch). Throws Error for an unknown or absent one, naming those present. place: of a
// machine's GPUs the one of that number, counted around: a rank's.
std::unique_ptr<Device> make_device(std::string_view name, int place = 0);

// How many GPUs a device of that name has to choose from; 0 for one that runs on the host.
int count_places(std::string_view name);

// "oneDNN 2.6.0": what devices compute with, as this process has loaded it.
std::string describe_device_libraries();

}  // namespace pg
