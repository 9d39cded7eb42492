// Ranks whose devices have memory of their own, over a Comm between their hosts: what is sent goes
// through host memory. The slow way, and the one that any two devices have.
#pragma once
#include <memory>

#include "src/device/comm/comm.h"
#include "src/device/device.h"

namespace pg {

// Buffers of the result's operations lie in the memory of `device`; its host() is that of `host`. Each
// start waits for the device. Both must outlive it.
std::unique_ptr<Comm> make_staged_comm(Comm& host, Device& device);

}  // namespace pg
