// eval's WindowShare over a Comm.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/window_share.h"
#include "src/device/comm/comm.h"

namespace pg {

class RankShare final : public WindowShare {
 public:
  explicit RankShare(Comm& comm) : host_(comm.host()) {}

  int rank() const override { return host_.rank(); }
  int ranks() const override { return host_.ranks(); }
  void gather(std::span<float> values, std::span<const int64_t> counts) override;

 private:
  Comm& host_;
  std::vector<CommPiece> pieces_;
};

}  // namespace pg
