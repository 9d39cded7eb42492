#include "src/train/schedule.h"

#include <algorithm>

namespace pg {

double lr_multiplier(const TrainConfig& config, int64_t steps_done, double elapsed_s,
                     double end_s) {
  const double done = static_cast<double>(steps_done);
  double falling = 1.0;  // 1 before the warmdown, then linear to 0
  if (config.warmdown_form == WarmdownForm::kSteps) {
    const double warmdown_steps = static_cast<double>(config.warmdown_steps);
    if (warmdown_steps > 0 && end_s > 0) {
      // Remaining time in steps of the mean length so far; before the first step the length is
      // unknown.
      const double step_s = steps_done > 0 ? elapsed_s / done : 0.0;
      if (step_s > 0) falling = (end_s - elapsed_s) / (warmdown_steps * step_s);
    } else if (warmdown_steps > 0) {
      falling = (static_cast<double>(config.max_steps) - done) / warmdown_steps;
    }
  } else {
    const double fraction =
        end_s > 0 ? elapsed_s / end_s
                  : done / static_cast<double>(std::max<int64_t>(config.max_steps, 1));
    if (config.warmdown_fraction > 0) falling = (1.0 - fraction) / config.warmdown_fraction;
  }
  return std::clamp(falling, config.min_lr, 1.0);
}

double muon_momentum(const OptimizerConfig& config, int64_t steps_done) {
  if (steps_done >= config.muon_momentum_warmup_steps) return config.muon_momentum;
  const double part =
      static_cast<double>(steps_done) / static_cast<double>(config.muon_momentum_warmup_steps);
  return config.muon_momentum_start + part * (config.muon_momentum - config.muon_momentum_start);
}

}  // namespace pg
