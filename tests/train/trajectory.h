// Steps of Muon and AdamW of a small model on any device, and how far its losses may be from those of
// the fp64 reference: what the trajectory test asks of every device, and `train_gpt selftest` of one.
#pragma once
#include <cstdint>
#include <vector>

#include "src/device/device.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"
#include "src/train/optimizer.h"

namespace pg {

struct Trajectory {
  std::vector<HostTensor> weights;
  std::vector<double> losses_nats;  // [steps]
};

struct TrajectorySetup {
  ModelConfig model;
  int64_t steps = 12;
  double perturbation = 0.1;  // of the first weights
  OptimizerConfig optimizer = {};
  bool rounds_start = false;  // the first weights to bf16
};
// On random tokens, the same each time.
Trajectory take_steps(Device& device, const TrajectorySetup& setup);

// The most that two runs' losses differ by in any step.
double loss_distance(const Trajectory& a, const Trajectory& b);

// Twenty steps with what can stand together of the keys of a model and of the optimizer.
//
// In f32 the reference in f32 storage, which rounds each result once, shows how much a rounding grows
// over the steps. A device rounds every term of a sum too, so it may stray as much further as the
// longest sum of the model has units; the largest difference of any step counts. In bf16 the exact
// reference shows it, from weights that are rounded once: independent roundings of as many tensors as
// there are parameters. A device makes as many more as a step has calls, and those in every step anew;
// their variances add up, and the root mean square over the steps counts.
class RichTrajectory {
 public:
  explicit RichTrajectory(DType compute);

  double bound_nats() const { return bound_nats_; }
  // How far the losses of a device of that type are from the reference's.
  double stray_nats(Device& device) const;
  // Whether weights and losses have the same bits where a device is given all work anew in each step,
  // and how often it repeated some instead.
  struct Repeats {
    bool have_same_bits;
    int64_t count;
  };
  Repeats compare_repeats(Device& device) const;
  // The same of a model that never steps, by the reference: a bound above it means nothing.
  double stray_of_rest_nats() const;

 private:
  double compare(const Trajectory& got) const;

  DType compute_;
  TrajectorySetup setup_;
  Trajectory exact_;
  double bound_nats_ = 0;
};

}  // namespace pg
