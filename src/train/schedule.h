// What changes over a run: the learning-rate multiplier and the Muon momentum. Pure functions of
// the step and of one elapsed time, so a replay with the recorded times takes the same decisions.
#pragma once
#include <cstdint>
#include <vector>

#include "src/train/train_config.h"

namespace pg {

// The budget that schedules and the stop decision see: wallclock_s - reserve_s; 0 means no cap.
double effective_cap_s(const TrainConfig& config);

// Learning-rate multiplier of the step that starts after `steps_done` steps and `elapsed_s` seconds
// of training, in [min_lr, 1] (formulas.md 3.3). Without a cap both forms run over max_steps.
double lr_multiplier(const TrainConfig& config, int64_t steps_done, double elapsed_s);

// Linear warm-up from muon_momentum_start to muon_momentum over the first warm-up steps.
double muon_momentum(const OptimizerConfig& config, int64_t steps_done);

// Predicts the length of the next step from the recent ones, and whether it still fits before the
// cap. The longest of the last kWindow steps with a margin: a step that ends after the cap costs
// the record, an unused step costs little.
class StopPredictor {
 public:
  static constexpr size_t kWindow = 16;
  static constexpr double kMargin = 1.15;

  void add_step(double seconds);
  double predicted_step_s() const;
  // Whether so many more steps end before the cap.
  bool steps_fit(double elapsed_s, int64_t steps, double cap_s) const;
  // The recent steps, oldest first: with add_step, the state of a resumed run.
  std::vector<double> recent_steps_s() const { return recent_s_; }

 private:
  std::vector<double> recent_s_;
};

}  // namespace pg
