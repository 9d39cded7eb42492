// Comm between the GPUs of one machine: one process, a thread for each GPU. Compiled and linked, and
// NOT YET RUN ON A GPU: there was none to try it on.
//
//   const std::shared_ptr<NcclGroup> group = make_nccl_group(ranks);
//   run_ranks(ranks, [&](Comm& host) {
//     ... choose this rank's GPU ...
//     const std::unique_ptr<Comm> comm = make_nccl_comm(group, host, stream);
//
// Operations run on a stream of their own, after what `stream` (a cudaStream_t) was given before the
// start; wait() makes `stream` wait for them, not the host.
#pragma once
#include <memory>

#include "src/device/comm/comm.h"

namespace pg {

// What the ranks share; the last of them to go takes it along.
class NcclGroup;

// Throws Error where this build has no NCCL, or the machine no GPU.
std::shared_ptr<NcclGroup> make_nccl_group(int ranks);
// Returns when every rank of the group has called it, each on its own thread with its own `host`,
// which must outlive it.
std::unique_ptr<Comm> make_nccl_comm(std::shared_ptr<NcclGroup> group, Comm& host, void* stream);

}  // namespace pg
