// What a training step of a recipe computes, from shapes alone.
#pragma once
#include <cstdint>

#include "harness/recipe/recipe.h"
#include "src/device/device.h"

namespace pg {

struct StepShape {
  double flops_a_token = 0;  // forward and backward
  int64_t arena_bytes = 0;   // activations of a micro-batch
};
// Throws Error where a micro-batch is no whole number of rows.
StepShape shape_of_step(const Recipe& recipe);

// How long training would take on a device of this peak, roughly.
struct StepFlops {
  DevicePeak peak;
  static constexpr double kShareOfPeak = 0.4;  // what a step of the CPU track reaches
  double estimate_training_s(const Recipe& recipe) const;
};

}  // namespace pg
