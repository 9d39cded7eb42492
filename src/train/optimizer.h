// Muon for the matrices, AdamW for the rest, after clipping the reduced gradient (formulas.md 3).
#pragma once
#include <cstdint>
#include <vector>

#include "src/plan/weights.h"
#include "src/train/train_config.h"

namespace pg {

class Optimizer {
 public:
  // The weights must have gradients and outlive this.
  Optimizer(Weights& weights, const OptimizerConfig& config);

  // One step from Weights::gradients(); steps_done counts the steps before this one. Refreshes the
  // compute copies.
  void step(int64_t steps_done, double lr_multiplier);
  // L2 norm of the gradient of the last step, before clipping. Waits for the device.
  double grad_norm() const;

  // Everything a resumed run needs, flat f32: [momentum of every parameter | second moments].
  std::vector<float> download_state() const;
  void upload_state(const std::vector<float>& state);

 private:
  void step_muon(int index, int64_t offset, double lr_multiplier, double momentum);
  void step_adamw(int index, int64_t offset, int64_t steps_done, double lr_multiplier);

  Weights* weights_;
  OptimizerConfig config_;
  DeviceBuffer first_, second_;  // [flat_elements] f32: Muon or AdamW momentum; AdamW second moment
  DeviceBuffer update_;          // [largest matrix] f32
  DeviceBuffer squares_;         // [1] f64
  DeviceBuffer coefficient_;     // [1] f32
};

}  // namespace pg
