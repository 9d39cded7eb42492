// The tensors of a model's plan. Internal to the model.
#pragma once
#include "src/model/forward.h"
#include "src/model/model.h"

namespace pg {

struct ModelPlan::Handles {
  ForwardTensors forward;
};

}  // namespace pg
