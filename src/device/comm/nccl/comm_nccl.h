// Comm between GPUs by NCCL: over NVLink or PCIe within a machine, over its network between machines.
// Ranks of one process are threads, each with a GPU of its own; processes are MPI's. NOT YET RUN ON
// SEVERAL GPUS: there was none to try it on; tests run it over stand-ins (tests/simt/fake_cuda).
//
// Operations run on a stream of their own, after what the rank's stream was given before the start;
// wait() makes that stream wait for them, not the host.
#pragma once
#include <array>
#include <string>

#include "src/device/comm/device_link.h"

struct CUstream_st;  // the CUDA runtime's own name for what a cudaStream_t points to

namespace pg {

// A rank's GPU, chosen by its thread.
struct NcclSeat {
  ::CUstream_st* stream = nullptr;  // that its work is given to
  std::string gpu;                  // its kind
  std::array<char, 16> gpu_id = {};
};

// See Device::join(). Where a rank has no NCCL, or no GPU for itself, none uses it. Throws Error where
// NCCL fails, and on every rank where their GPUs are of different kinds.
void join_by_nccl(Comm& host, const NcclSeat& seat, DeviceLink& link);

}  // namespace pg
