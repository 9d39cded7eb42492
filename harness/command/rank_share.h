// eval's WindowShare over a Comm.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/score/window_share.h"
#include "src/device/comm/comm.h"
#include "src/train/ordered_sum.h"

namespace pg {

class RankShare final : public WindowShare {
 public:
  // `devices` reaches the memory of the ranks' devices; both are of the same ranks and outlive this.
  RankShare(Comm& host, Comm& devices) : host_(host), devices_(devices) {}

  int rank() const override { return host_.rank(); }
  int ranks() const override { return host_.ranks(); }
  void gather(std::span<float> values, std::span<const int64_t> counts) override;
  void sum(Device& device, float* values, int64_t elements) override;

 private:
  Comm& host_;
  Comm& devices_;
  std::vector<CommPiece> pieces_;
  std::optional<OrderedSum> sum_;  // of the memory that sum() was first given
  std::vector<CommPiece> summed_;  // of each rank
};

}  // namespace pg
