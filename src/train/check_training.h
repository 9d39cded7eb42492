// Keys of training that contradict each other.
#pragma once
#include "src/model/model_config.h"
#include "src/train/train_config.h"

namespace pg {

// Throws Error, naming the keys and what to do.
void check_training(const ModelConfig& model, const TrainConfig& train,
                    const OptimizerConfig& optimizer);

}  // namespace pg
