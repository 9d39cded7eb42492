// How long a training step and an evaluation would take on a machine that is not here: a plan's own
// counts of operations and bytes, over what kernels reach.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "harness/planner/hardware.h"
#include "harness/recipe/recipe.h"
#include "src/train/phases.h"

namespace pg {

// One class of work on one GPU.
struct WorkPart {
  std::string what;
  double amount = 0;
  enum class Unit : uint8_t { kFlop, kBytes, kLaunches } unit = Unit::kFlop;
  double rate = 0;  // of it, per second
  double seconds() const { return rate > 0 ? amount / rate : 0; }
};

struct StepTime {
  std::string phase;  // of training; empty where there is one
  std::vector<WorkPart> parts;
  double host_share = 0;
  double seconds() const;  // parts one after another, and what the host takes of the whole
};

struct TrainingTime {
  std::vector<StepTime> steps;  // of each phase that occurs, in their order
  double training_s = 0;        // without what is kept for calibration
  int64_t step_count = 0, tokens = 0;
};
// By recipe.train.wallclock_s, or train.max_steps where that is sooner or there is no cap. Throws Error
// as check_batches() does.
TrainingTime predict_training(const Recipe& recipe, const Hardware& hardware,
                              const KernelRates& rates);

struct ScoringTime {
  std::vector<WorkPart> parts;
  int64_t tokens = 0, windows = 0;
  bool is_whole = true;  // false: adapters or n-grams come on top
  StepTime learning;     // a step of test-time training of all weights; no parts: none
  int64_t learning_steps = 0;
  double seconds() const;
};
// Of `tokens` of text by windows, on all GPUs; with test-time training of all weights its steps too, whose
// rows GPUs share where they divide ttt.gradient_leaves, and else each computes all.
// What the host adds, n-grams and coding, and adapters are not in it.
ScoringTime predict_scoring(const Recipe& recipe, const Hardware& hardware,
                            const KernelRates& rates, int64_t tokens);

}  // namespace pg
