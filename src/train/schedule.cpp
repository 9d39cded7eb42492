#include "src/train/schedule.h"

#include <algorithm>

namespace pg {

double effective_cap_s(const TrainConfig& config) {
  return config.wallclock_s > 0 ? std::max(config.wallclock_s - config.reserve_s, 0.0) : 0.0;
}

double lr_multiplier(const TrainConfig& config, int64_t steps_done, double elapsed_s) {
  const double cap_s = effective_cap_s(config);
  const double done = static_cast<double>(steps_done);
  double falling = 1.0;  // 1 before the warmdown, then linear to 0
  if (config.warmdown_form == WarmdownForm::kSteps) {
    const double warmdown_steps = static_cast<double>(config.warmdown_steps);
    if (warmdown_steps > 0 && cap_s > 0) {
      // Remaining time in steps of the mean length so far; before the first step the length is
      // unknown.
      const double step_s = steps_done > 0 ? elapsed_s / done : 0.0;
      if (step_s > 0) falling = (cap_s - elapsed_s) / (warmdown_steps * step_s);
    } else if (warmdown_steps > 0) {
      falling = (static_cast<double>(config.max_steps) - done) / warmdown_steps;
    }
  } else {
    const double fraction =
        cap_s > 0 ? elapsed_s / cap_s
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

void StopPredictor::add_step(double seconds) {
  if (recent_s_.size() == kWindow) recent_s_.erase(recent_s_.begin());
  recent_s_.push_back(seconds);
}

double StopPredictor::predicted_step_s() const {
  return recent_s_.empty() ? 0.0 : kMargin * *std::max_element(recent_s_.begin(), recent_s_.end());
}

bool StopPredictor::steps_fit(double elapsed_s, int64_t steps, double cap_s) const {
  return cap_s <= 0 || elapsed_s + static_cast<double>(steps) * predicted_step_s() < cap_s;
}

}  // namespace pg
