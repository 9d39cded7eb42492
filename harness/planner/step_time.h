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
  double amount = 0;  // FLOP, or bytes
  bool is_bytes = false;
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
// where the GPUs do not divide the micro-batches.
TrainingTime predict_training(const Recipe& recipe, const Hardware& hardware,
                              const KernelRates& rates);

struct ScoringTime {
  std::vector<WorkPart> parts;
  int64_t tokens = 0, windows = 0;
  bool is_whole = true;  // false: adapters or n-grams come on top
  double seconds() const;
};
// Of `tokens` of text by windows, on all GPUs; with test-time training of all weights its passes too.
// What the host adds, n-grams and coding, and adapters are not in it.
ScoringTime predict_scoring(const Recipe& recipe, const Hardware& hardware,
                            const KernelRates& rates, int64_t tokens);

struct TrainingMemory {
  int64_t weights_bytes = 0;    // masters, compute copies and gradients
  int64_t optimizer_bytes = 0;  // its state and room, on the rank with the most
  int64_t average_bytes = 0;
  int64_t leaf_bytes = 0;        // of the gradient: sums that wait for others
  int64_t activation_bytes = 0;  // of a micro-batch
  int64_t total() const {
    return weights_bytes + optimizer_bytes + average_bytes + leaf_bytes + activation_bytes;
  }
};
// What a rank allocates before its first step, counted by making it on a device without memory.
TrainingMemory predict_memory(const Recipe& recipe, int64_t ranks);

}  // namespace pg
