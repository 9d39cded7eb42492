// Records the forward pass of the model into a plan.
#pragma once
#include <cstdint>

#include "src/model/model_config.h"
#include "src/plan/plan.h"

namespace pg {

struct ForwardTensors {
  Tensor ids;      // [batch*seq_len, 1] int32, input
  Tensor targets;  // [batch*seq_len, 1] int32, input
  Tensor logits;   // [batch*seq_len, vocab] f32, before the softcap
  Tensor loss;     // [batch*seq_len, 1] f32, nats
};

ForwardTensors record_forward(Plan& plan, const ModelConfig& config, int64_t batch,
                              int64_t seq_len);

}  // namespace pg
