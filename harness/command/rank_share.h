// eval's WindowShare over a Comm.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/window_share.h"
#include "src/device/comm/comm.h"
#include "src/device/device.h"

namespace pg {

class RankShare final : public WindowShare {
 public:
  // Both must outlive this; what is gathered passes through the device's memory, where Comm's
  // buffers lie.
  RankShare(Comm& comm, Device& device) : comm_(comm), device_(device) {}

  int rank() const override { return comm_.rank(); }
  int ranks() const override { return comm_.ranks(); }
  void gather(std::span<float> values, std::span<const int64_t> counts) override;

 private:
  void make_room(size_t bytes);

  Comm& comm_;
  Device& device_;
  DeviceBuffer staged_;  // of the most that was gathered at once
  std::vector<CommPiece> pieces_;
};

}  // namespace pg
