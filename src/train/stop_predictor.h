// When training has to end so that it, and what comes after it and counts, end within the budget.
// Measured on the step times of a committed tape and on resampled ones
// (tests/harness/time_budget_test.cpp).
#pragma once
#include <cstdint>
#include <vector>

#include "src/train/train_config.h"

namespace pg {

// A step or a rest that ends after the cap costs the record, an unused step costs little: so a step
// is taken to be the longest of the run with a margin, and the rest to run at the speed of the
// run's slower part and slower still.
class StopPredictor {
 public:
  static constexpr size_t kWindow = 15;
  // Of the longest step. Of the 2,403 steps of the tape 24 were longer than 1.15 times the longest
  // of the 16 before them, one was so of the longest of all before it.
  static constexpr double kStepMargin = 1.15;
  // A step of the past that took more of the recent mean than this was a stall, which is not kept
  // free again; twice the mean is the longest of the tape.
  static constexpr double kMostOfMean = 4;
  // Of the rest. 0 of 18,000 simulated runs of 600 s were over their budget, and 0.4 % of it was
  // unused in the median; with 1.15 two were, and 0.35 % was.
  static constexpr double kRestMargin = 1.25;
  // The run's slowest time may come again, up to so many times the mean. On the tape it does: 7 steps
  // took up to 1.41 times the mean of all before.
  static constexpr double kSlowAgain = 1.5;
  // The recent speed is that of about so long and as long as the rest; a neighbour on the machine
  // comes and goes in seconds.
  static constexpr double kRecent_s = 4;

  // `rest_s`: what comes after the last step and counts, as rehearsed on this machine before the
  // first; 0: nothing.
  StopPredictor(const TrainConfig& config, double rest_s);

  void add_step(double seconds);
  double predicted_step_s() const;
  // Kept free for the rest: at most train.reserve_s where that is given.
  double reserve_s() const;
  // Whether so many more steps, and the rest after them, end before the cap; always without one.
  bool steps_fit(double elapsed_s, int64_t steps) const;
  // When the last step is likely to end, which is where the learning rate ends too; 0 without a cap.
  double end_s() const;
  // With add_step in this order, the state of a resumed run: the longest step, then the recent ones,
  // oldest first. At most kWindow + 1.
  std::vector<double> steps_to_keep_s() const;

 private:
  double recent_longest_s() const;
  double recent_mean_s() const { return count_ > 0 ? sum_s_ / count_ : 0.0; }

  double cap_s_, rest_s_, most_reserve_s_;
  std::vector<double> recent_s_;  // the oldest first
  double longest_s_ = 0, total_s_ = 0;
  int64_t steps_ = 0;
  double sum_s_ = 0, count_ = 0;  // of steps that count the less the longer ago they were
  // The least and the most recent_mean_s() so far; the most once steps enough were in it.
  double fastest_mean_s_ = 0, slowest_mean_s_ = 0;
};

}  // namespace pg
