#include "src/train/stop_predictor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pg {

StopPredictor::StopPredictor(const TrainConfig& config, double rest_s)
    : cap_s_(config.wallclock_s),
      rest_s_(rest_s),
      most_reserve_s_(config.reserve_s > 0 ? config.reserve_s
                                           : std::numeric_limits<double>::infinity()) {
  recent_s_.reserve(kWindow);
}

void StopPredictor::add_step(double seconds) {
  if (recent_s_.size() == kWindow) recent_s_.erase(recent_s_.begin());
  recent_s_.push_back(seconds);
  longest_s_ = std::max(longest_s_, seconds);
  total_s_ += seconds;
  const double recent_s = kRecent_s + rest_s_, kept = std::exp(-seconds / recent_s);
  sum_s_ = kept * sum_s_ + seconds;
  count_ = kept * count_ + 1;
  fastest_mean_s_ = steps_ == 0 ? seconds : std::min(fastest_mean_s_, recent_mean_s());
  if (total_s_ > recent_s) slowest_mean_s_ = std::max(slowest_mean_s_, recent_mean_s());
  ++steps_;
}

double StopPredictor::recent_longest_s() const {
  return recent_s_.empty() ? 0.0 : *std::max_element(recent_s_.begin(), recent_s_.end());
}

double StopPredictor::predicted_step_s() const {
  return kStepMargin *
         std::max(recent_longest_s(), std::min(longest_s_, kMostOfMean * recent_mean_s()));
}

// The rehearsal is taken to have run at the run's best speed: so the rest is not thought shorter than
// it is, whatever else the machine did just then.
double StopPredictor::reserve_s() const {
  double slowdown = 1;
  if (fastest_mean_s_ > 0) {
    const double mean_s = std::max(recent_mean_s(), total_s_ / static_cast<double>(steps_));
    const double slow_s = std::min(slowest_mean_s_, kSlowAgain * mean_s);
    slowdown = std::max(mean_s, slow_s) / fastest_mean_s_;
  }
  return std::min(kRestMargin * slowdown * rest_s_, most_reserve_s_);
}

bool StopPredictor::steps_fit(double elapsed_s, int64_t steps) const {
  if (cap_s_ <= 0) return true;
  // Of several one is the longest of the run.
  const double steps_s =
      predicted_step_s() + static_cast<double>(steps - 1) * kStepMargin * recent_longest_s();
  return elapsed_s + steps_s + reserve_s() < cap_s_;
}

double StopPredictor::end_s() const {
  if (cap_s_ <= 0) return 0;
  constexpr double kLeast_s = 1e-9;  // 0 would say that there is no cap
  const double unused_s = predicted_step_s() - recent_mean_s();
  return std::max(cap_s_ - reserve_s() - unused_s, kLeast_s);
}

std::vector<double> StopPredictor::steps_to_keep_s() const {
  if (steps_ == 0) return {};
  std::vector<double> steps_s = {longest_s_};
  steps_s.insert(steps_s.end(), recent_s_.begin(), recent_s_.end());
  return steps_s;
}

}  // namespace pg
