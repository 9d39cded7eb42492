// Whether ranks on several devices get from each other what they should, and how fast: the self-test's part
// for machines with several GPUs.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/device/device.h"

namespace pg {

struct LinkVerdict {
  std::string way;  // "NCCL 2.28.9", or through the hosts and why
  // Of the slowest rank: what it receives, or for sums its part of what it sends, in a second.
  double exchange_bytes_per_s = 0, gather_bytes_per_s = 0, scatter_bytes_per_s = 0;
  std::vector<std::string> faults;
};

using MakeDeviceAt = std::function<std::unique_ptr<Device>(int place)>;

// `ranks` threads of this process, each with the device of its place; each has `piece_floats` numbers for
// each of the others. What is thrown ends as a fault.
LinkVerdict check_link(int ranks, const MakeDeviceAt& make, int64_t piece_floats);

}  // namespace pg
