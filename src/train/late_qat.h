// Quantisation-aware training near the end: gradients are taken at the weights as the packer would store
// them and applied to the weights themselves, as if rounding had the derivative 1 (straight-through;
// Bengio et al. 2013). The public scripts carried it switched off by their compiler (formulas.md 3.9).
//
// How weights are rounded is the quantiser's matter: whoever starts a training says it. It works in host
// memory, so a step waits for the device twice.
#pragma once
#include <functional>
#include <vector>

#include "src/plan/weights.h"
#include "src/train/schedule.h"

namespace pg {

// From the weights that an artifact has, in list_params order, to what would be read back of them. Pure, and the same on every rank.
using RoundWeights = std::function<std::vector<HostTensor>(const std::vector<HostTensor>&)>;

class LateQat {
 public:
  // Weights must outlive this. `start_lr`: it begins once the warmdown's multiplier is below; 0: never.
  LateQat(Weights& weights, double start_lr, RoundWeights round);

  // Before a step's gradients: the masters become what is stored of them, where it is time for that.
  void begin(const StepSchedule& schedule);
  // Behind the gradients, or a failure on the way: the masters are themselves again.
  void end();
  bool is_on() const { return is_on_; }  // in the last step

 private:
  Weights* weights_;
  double start_lr_;
  RoundWeights round_;
  DeviceBuffer saved_;  // [flat_elements] f32: the masters
  bool is_on_ = false, is_rounded_ = false;
};

}  // namespace pg
