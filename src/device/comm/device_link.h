// What Device::join() finds: how a rank's device memory is reached from the others'.
#pragma once
#include <memory>
#include <string>

#include "src/device/comm/comm.h"

namespace pg {

struct DeviceLink {
  std::unique_ptr<Comm> comm;  // on all ranks, or on none
  std::string way;             // what it goes by, or why there is none; the same on every rank
};

}  // namespace pg
