#include "src/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/base/exact_math.h"

namespace pg {
namespace {

// Of training that is done; not clamped.
double fraction_done(const TrainConfig& config, int64_t steps_done, double elapsed_s,
                     double end_s) {
  return end_s > 0 ? elapsed_s / end_s
                   : static_cast<double>(steps_done) /
                         static_cast<double>(std::max<int64_t>(config.max_steps, 1));
}

// At least 1 before the warmdown, then linear to 0.
double fall_linearly(const TrainConfig& config, int64_t steps_done, double elapsed_s,
                     double end_s) {
  const double done = static_cast<double>(steps_done);
  if (config.warmdown_form == WarmdownForm::kFraction) {
    const double fraction = fraction_done(config, steps_done, elapsed_s, end_s);
    return config.warmdown_fraction > 0 ? (1.0 - fraction) / config.warmdown_fraction : 1.0;
  }
  const double warmdown_steps = static_cast<double>(config.warmdown_steps);
  if (warmdown_steps == 0) return 1.0;
  if (end_s <= 0) return (static_cast<double>(config.max_steps) - done) / warmdown_steps;
  // Remaining time in steps of the mean length so far; before the first step the length is unknown.
  const double step_s = steps_done > 0 ? elapsed_s / done : 0.0;
  return step_s > 0 ? (end_s - elapsed_s) / (warmdown_steps * step_s) : 1.0;
}

double shape_warmdown(const TrainConfig& config, double falling) {
  if (config.warmdown_shape == WarmdownShape::kLinear) {
    return std::clamp(falling, config.min_lr, 1.0);
  }
  const double gone = 1.0 - std::clamp(falling, 0.0, 1.0);
  const double left = config.warmdown_shape == WarmdownShape::kCosine
                          ? 0.5 * (1.0 + sin_cos_f64(std::numbers::pi * gone).cos)
                          : 1.0 - std::sqrt(gone);
  return config.min_lr + (1.0 - config.min_lr) * left;
}

double warm_up(const TrainConfig& config, int64_t steps_done) {
  if (steps_done + 1 >= config.lr_warmup_steps) return 1.0;
  return static_cast<double>(steps_done + 1) / static_cast<double>(config.lr_warmup_steps);
}

}  // namespace

StepSchedule schedule_step(const TrainConfig& train, const OptimizerConfig& optimizer,
                           int64_t steps_done, double elapsed_s, double end_s) {
  StepSchedule schedule;
  schedule.warmdown = shape_warmdown(train, fall_linearly(train, steps_done, elapsed_s, end_s));
  schedule.lr_multiplier = schedule.warmdown * warm_up(train, steps_done);
  schedule.fraction = std::clamp(fraction_done(train, steps_done, elapsed_s, end_s), 0.0, 1.0);
  schedule.decay_multiplier = weight_decay_multiplier(optimizer, schedule.fraction);
  return schedule;
}

double lr_multiplier(const TrainConfig& config, int64_t steps_done, double elapsed_s,
                     double end_s) {
  return schedule_step(config, {}, steps_done, elapsed_s, end_s).lr_multiplier;
}

double muon_momentum(const OptimizerConfig& config, int64_t steps_done) {
  if (steps_done >= config.muon_momentum_warmup_steps) return config.muon_momentum;
  const double part =
      static_cast<double>(steps_done) / static_cast<double>(config.muon_momentum_warmup_steps);
  return config.muon_momentum_start + part * (config.muon_momentum - config.muon_momentum_start);
}

double weight_decay_multiplier(const OptimizerConfig& config, double fraction) {
  const double start = config.weight_decay_taper_start;
  if (fraction <= start) return 1.0;
  return 1.0 + (fraction - start) / (1.0 - start) * (config.weight_decay_taper_end - 1.0);
}

}  // namespace pg
