// What a training would allocate on a machine that is not here.
#pragma once
#include <cstdint>

#include "harness/recipe/recipe.h"

namespace pg {

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
// What a rank allocates before its first step, counted by making it on a device without memory. Throws
// Error as check_batches() does.
TrainingMemory predict_memory(const Recipe& recipe, int64_t ranks);

}  // namespace pg
