// The parameters that training has: those of the model, and behind them what it needs for its loss
// alone, which no artifact holds (formulas.md 3.7).
#pragma once
#include <vector>

#include "src/model/model_config.h"
#include "src/plan/weights.h"
#include "src/train/train_config.h"

namespace pg {

std::vector<ParamSpec> list_training_params(const ModelConfig& model, const TrainConfig& train);
// Takes the tensors out that are not exported.
void keep_exported(std::vector<HostTensor>& tensors);

}  // namespace pg
