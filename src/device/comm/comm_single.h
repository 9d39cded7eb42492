// Comm of one rank: every operation is done when it has been started.
#pragma once
#include <memory>

#include "src/device/comm/comm.h"

namespace pg {

// Buffers are host memory.
std::unique_ptr<Comm> make_single_comm();

}  // namespace pg
