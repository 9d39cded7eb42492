#include "harness/command/step_flops.h"

#include <fmt/format.h>

#include "harness/bench/shape_device.h"
#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {

StepShape shape_of_step(const Recipe& recipe) {
  const TrainConfig& train = recipe.train;
  if (train.micro_batch_tokens % train.seq_len != 0) {
    throw Error(
        fmt::format("train.micro_batch_tokens \"{}\" is no multiple of train.seq_len \"{}\"",
                    train.micro_batch_tokens, train.seq_len));
  }
  const auto device = make_shape_device("cpu:bf16");
  Weights weights(*device, list_params(recipe.model), /*with_gradients=*/true);
  const int64_t rows = train.micro_batch_tokens / train.seq_len;
  const ModelPlan plan(recipe.model, weights, rows, train.seq_len, PlanMode::kTrain);
  return {.flops_a_token = plan.flops() / static_cast<double>(rows * train.seq_len),
          .arena_bytes = plan.arena_bytes()};
}

double StepFlops::estimate_training_s(const Recipe& recipe) const {
  const double flops = shape_of_step(recipe).flops_a_token *
                       static_cast<double>(recipe.train.batch_tokens) *
                       static_cast<double>(recipe.train.max_steps);
  return flops / (kShareOfPeak * peak.matmul_flops_per_s);
}

}  // namespace pg
