// EMA-Nesterov (arXiv 2605.25395; modded-nanogpt, track 3, #39): around any optimizer.
//
// v is an average of how far the weights w get in a step. A step's gradients are taken, and its
// update made, where the weights are heading:
//   w' = w + beta lr_multiplier v, in training's fractions [start, end) alone; w = step(w');
//   v = gamma v + (1-gamma) (w - w before the look ahead).
// Before the start v fills; after the end the weights settle.
#pragma once
#include <array>

#include "src/plan/weights.h"
#include "src/train/schedule.h"
#include "src/train/train_config.h"

namespace pg {

// Off, it keeps and does nothing. Every rank does the same to all weights.
class EmaNesterov {
 public:
  EmaNesterov(Weights& weights, const OptimizerConfig& config);

  // Before the gradients of a step.
  void look_ahead(const StepSchedule& schedule);
  // Back to the weights before look_ahead(), where no step was taken from there.
  void undo();
  // After the step, when all ranks' weights are there.
  void follow();

  float* velocity() const { return velocity_.as<float>(); }  // [flat_elements]; null when off

 private:
  bool is_kept() const { return velocity_.data() != nullptr; }
  In scalar(size_t place) const { return {scalars_.as<float>() + place, DType::kF32}; }

  Weights* weights_;
  OptimizerConfig config_;
  bool has_moved_ = false;
  std::array<float, 5> host_scalars_ = {};  // see the places in ema_nesterov.cpp
  DeviceBuffer velocity_, before_, scalars_;
};

}  // namespace pg
