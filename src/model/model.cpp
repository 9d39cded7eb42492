#include "src/model/model.h"

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/model/model_handles.h"
#include "src/plan/plan.h"

namespace pg {

ModelPlan::ModelPlan(const ModelConfig& config, Weights& weights, int64_t batch, int64_t seq_len,
                     PlanMode mode, int64_t last_positions, int64_t targets)
    : ModelPlan(config, weights, batch, seq_len, mode,
                ForwardOptions{.last_positions = last_positions, .targets = targets}) {}

ModelPlan::ModelPlan(const ModelConfig& config, Weights& weights, int64_t batch, int64_t seq_len,
                     PlanMode mode, ForwardOptions options)
    : config_(config),
      batch_(batch),
      seq_len_(seq_len),
      plan_(std::make_unique<Plan>(
          weights, mode == PlanMode::kDecode ? Plan::Memory::kRows : Plan::Memory::kShared)),
      handles_(std::make_unique<Handles>()) {
  if (const std::string problem = check_model_config(config); !problem.empty())
    throw Error(problem);
  options.with_loss = mode == PlanMode::kTrain || mode == PlanMode::kScore;
  PG_CHECK(batch == 1 || mode != PlanMode::kDecode, "one row of tokens is decoded at a time");
  if (!options.with_loss) plan_->read_packed_weights();
  handles_->forward = record_forward(*plan_, config, batch, seq_len, options);
  // <parts>
  if (options.lends_arena != nullptr) plan_->borrow_arena_of(*options.lends_arena);
  // </parts>
  plan_->finish(mode == PlanMode::kTrain ? handles_->forward.loss : Tensor{});
}

ModelPlan::~ModelPlan() = default;
ModelPlan::ModelPlan(ModelPlan&&) noexcept = default;

void ModelPlan::load(std::span<const int32_t> ids, std::span<const int32_t> targets) {
  plan_->write_ids(handles_->forward.ids, ids);
  if (handles_->forward.targets) plan_->write_ids(handles_->forward.targets, targets);
  // <train_gpt>
  if (!handles_->forward.future_targets.empty()) load_future(targets);
  // </train_gpt>
}

void ModelPlan::run(bool accumulate) { plan_->run(accumulate); }
void ModelPlan::run_rows(int64_t first, int64_t count) {
  int64_t row = seq_len_;
  // <parts>
  row += config_.memory_tokens;
  if (first == 0) {
    count += config_.memory_tokens;  // which run before the first position
  } else {
    first += config_.memory_tokens;
  }
  // </parts>
  plan_->run_rows(row, first, count);
}

void ModelPlan::read_log_probs(int64_t first_row, std::span<float> log_probs,
                               std::span<float> entropies) {
  plan_->read(handles_->forward.log_probs, first_row * config_.vocab_size, log_probs);
  if (!entropies.empty()) plan_->read(handles_->forward.entropy, first_row, entropies);
}

}  // namespace pg
