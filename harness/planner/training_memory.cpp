#include "harness/planner/training_memory.h"

#include <algorithm>
#include <utility>

#include "harness/bench/shape_device.h"
#include "src/model/forward.h"
#include "src/model/model.h"
#include "src/plan/gradient/gradient_leaves.h"
#include "src/train/average.h"
#include "src/train/ema_nesterov.h"
#include "src/train/loss_targets.h"
#include "src/train/optimizer.h"
#include "src/train/phases.h"
#include "src/train/trainer.h"
#include "src/train/training_params.h"

namespace pg {

TrainingMemory predict_memory(const Recipe& recipe, int64_t ranks) {
  const TrainConfig& train = recipe.train;
  check_batches(train, ranks);
  const auto device = make_shape_device("cpu:bf16");
  TrainingMemory memory;
  int64_t before = 0;
  const auto grown = [&] {
    const int64_t now = device->allocated_bytes();
    return now - std::exchange(before, now);
  };
  Weights weights(*device, list_training_params(recipe.model, train), /*with_gradients=*/true);
  memory.weights_bytes = grown();
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const Optimizer optimizer(weights, recipe.optimizer, static_cast<int>(rank),
                              static_cast<int>(ranks));
    memory.optimizer_bytes =
        std::max(memory.optimizer_bytes, device->allocated_bytes() - memory.weights_bytes);
  }
  before = memory.weights_bytes;
  const Averager averager(weights, train);
  const EmaNesterov ema_nesterov(weights, recipe.optimizer);
  memory.average_bytes = grown();
  const GradientLeaves leaves(weights, train.gradient_leaves / ranks);
  memory.leaf_bytes = grown();
  const Phases phases(recipe.model, train);
  const bool is_packed = recipe.data.loader == Loader::kPacked;
  const int64_t row_tokens = is_packed ? train.micro_batch_tokens : train.seq_len;
  const Phase last = phases.list().front();
  const int64_t rows = is_packed ? 1 : phases.rows(last, train.micro_batch_tokens / train.seq_len);
  const ModelPlan plan(recipe.model, weights, rows, row_tokens, PlanMode::kTrain,
                       {.targets = count_targets(train),
                        .has_row_weights = train.complement_alpha > 0,
                        .terms = list_loss_terms(train, 1),
                        .longest_sequence = is_packed ? train.seq_len : 0});
  memory.activation_bytes = grown();
  return memory;
}

}  // namespace pg
