// Sums over ranks that are the same for any number of them: a binary tree over the ranks, neighbours first,
// the upper levels of GradientLeaves'.
#pragma once
#include <span>
#include <vector>

#include "src/device/comm/comm.h"
#include "src/device/device.h"
#include "src/train/rank_work.h"

namespace pg {

class OrderedSum {
 public:
  // Of f32 values on the device; of_ranks[r]: the stretches that rank r adds up, the same on every rank.
  // All but of_ranks must outlive this.
  OrderedSum(Comm& comm, Device& device, float* values,
             std::span<const std::vector<Stretch>> of_ranks);

  // From each rank's values: the sum of all in this rank's stretches; the rest of it is undefined.
  void reduce();

 private:
  Comm& comm_;
  Device& device_;
  float* values_;
  std::vector<Stretch> own_;
  DeviceBuffer received_;  // [ranks - 1, elements of own_] f32
  std::vector<CommPiece> sends_, receives_;
  std::vector<int> holders_;  // by rank: of the subtree that begins there
};

}  // namespace pg
