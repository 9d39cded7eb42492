// A CUDA runtime and a cuBLASLt on the host, for running src/device/cuda/gpu/cuda_runtime.cpp as it
// is: memory that must be the device's or the host's as a copy says, streams whose work is done at
// once, events that are not done when they are first asked about, graphs of recorded launches, products
// by columns as the descriptors say. Any call can be made to fail.
#pragma once
#include <cstdint>
#include <string>

namespace pg::fake_cuda {

// The call of that number from now on fails, counted from 1; 0: none does.
void fail_call(int64_t number);
// Calls since then, and the name of the one that failed; empty when none has.
int64_t count_calls();
std::string name_of_failed_call();

// Recordings of graphs end with nothing, as of a driver that refuses.
void refuse_graphs(bool refuses);
int64_t count_graph_launches();  // of this process

inline constexpr int kDevices = 2;
int current_device();

// What has been made and not given back: memory, streams, events, graphs, handles.
int64_t count_live();

}  // namespace pg::fake_cuda
