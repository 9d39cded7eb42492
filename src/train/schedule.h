// What changes over a run: the learning-rate multiplier, the Muon momentum, the weight decay. Pure
// functions of the step and of two times, so a replay with the recorded ones takes the same decisions.
#pragma once
#include <cstdint>

#include "src/train/train_config.h"

namespace pg {

// What is decided of a step before it, from one look at the clock: after `steps_done` steps and
// `elapsed_s` seconds of training. `end_s`: when the clock is going to end training,
// StopPredictor::end_s(); 0 where it will not: then all runs over max_steps.
struct StepSchedule {
  double lr_multiplier = 1;     // of every learning rate: the warmdown's times the warm-up's
  double warmdown = 1;          // in [min_lr, 1]; what averages wait for
  double decay_multiplier = 1;  // of the matrices' weight decay
  double fraction = 0;          // of training that is done, in [0, 1]
};
StepSchedule schedule_step(const TrainConfig& train, const OptimizerConfig& optimizer,
                           int64_t steps_done, double elapsed_s, double end_s);

// Of the above (formulas.md 3.3). With f falling from 1 to 0 in the warmdown and least = min_lr:
//   linear  max(f, least)
//   cosine  least + (1 - least) (1 + cos(pi (1 - f))) / 2 (Loshchilov, Hutter 2017), over the whole
//           of training, or what a warm-up leaves of it, where warmdown_fraction says so
//   sqrt    least + (1 - least) (1 - sqrt(1 - f)) (Haegele et al. 2024)
// times min(1, (steps_done + 1) / lr_warmup_steps). Warm-up, a stable stretch and warmdown are WSD.
double lr_multiplier(const TrainConfig& config, int64_t steps_done, double elapsed_s, double end_s);

// Linear warm-up from muon_momentum_start to muon_momentum over the first warm-up steps.
double muon_momentum(const OptimizerConfig& config, int64_t steps_done);

// 1 up to a fraction of training of weight_decay_taper_start, then linear to weight_decay_taper_end
// at its end (parameter-golf PR #1729: 0.5 from 0.7 on).
double weight_decay_multiplier(const OptimizerConfig& config, double fraction);

}  // namespace pg
