// Keys of training that contradict each other.
#pragma once
#include "src/train/train_config.h"

namespace pg {

// Throws Error, naming the keys and what to do.
void check_training(const TrainConfig& train, const OptimizerConfig& optimizer);

}  // namespace pg
