// Averages of the weights over the run; what is exported is one of these, chosen by train.average.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "src/plan/weights.h"
#include "src/train/train_config.h"

namespace pg {

// none: the last weights. ema: e = d e + (1-d) w after every step, from the initial weights on, no
// bias correction. swa: the plain mean of snapshots taken every swa_every steps once the
// learning-rate multiplier is below swa_start_lr; before the first snapshot it is the last weights.
class Averager {
 public:
  Averager(Weights& weights, const TrainConfig& config);

  // Call after every optimizer step; true when the first SWA snapshot was taken by this call.
  bool update(int64_t steps_done, double lr_multiplier);

  std::string describe() const;  // "ema 0.997", "swa of 31", "none"
  std::vector<HostTensor> download() const;
  // The same into tensors that an earlier call filled, without allocating; empty ones are filled
  // too.
  void download(std::vector<HostTensor>& tensors) const;

  int64_t snapshots() const { return snapshots_; }
  // State for a resumed run: the flat f32 average on the device, and the snapshots; none is kept
  // without averaging.
  float* state() const { return average_.as<float>(); }
  bool is_kept() const { return average_.data() != nullptr; }
  void set_snapshots(int64_t snapshots) { snapshots_ = snapshots; }

 private:
  Weights* weights_;
  TrainConfig config_;
  DeviceBuffer average_;  // [flat_elements] f32
  DeviceBuffer decay_;    // [1] f32
  int64_t snapshots_ = 0;
};

}  // namespace pg
