// What changes over a run: the learning-rate multiplier and the Muon momentum. Pure functions of
// the step and of two times, so a replay with the recorded ones takes the same decisions.
#pragma once
#include <cstdint>

#include "src/train/train_config.h"

namespace pg {

// Learning-rate multiplier of the step that starts after `steps_done` steps and `elapsed_s` seconds
// of training, in [min_lr, 1] (formulas.md 3.3). `end_s`: when the clock is going to end training,
// StopPredictor::end_s(); 0 where it will not: then both forms run over max_steps.
double lr_multiplier(const TrainConfig& config, int64_t steps_done, double elapsed_s, double end_s);

// Linear warm-up from muon_momentum_start to muon_momentum over the first warm-up steps.
double muon_momentum(const OptimizerConfig& config, int64_t steps_done);

}  // namespace pg
