#include "src/model/model.h"

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"

namespace pg {

struct ModelPlan::Handles {
  ForwardTensors forward;
};

ModelPlan::ModelPlan(const ModelConfig& config, Weights& weights, int64_t batch, int64_t seq_len,
                     PlanMode mode, int64_t last_positions)
    : config_(config),
      batch_(batch),
      seq_len_(seq_len),
      plan_(std::make_unique<Plan>(weights)),
      handles_(std::make_unique<Handles>()) {
  if (const std::string problem = check_model_config(config); !problem.empty())
    throw Error(problem);
  PG_CHECK(last_positions == 0 || mode == PlanMode::kLogProbs, "losses are those of all positions");
  handles_->forward =
      record_forward(*plan_, config, batch, seq_len,
                     {.with_loss = mode != PlanMode::kLogProbs, .last_positions = last_positions});
  plan_->finish(mode == PlanMode::kTrain ? handles_->forward.loss : Tensor{});
}

ModelPlan::~ModelPlan() = default;
ModelPlan::ModelPlan(ModelPlan&&) noexcept = default;

void ModelPlan::load(std::span<const int32_t> ids, std::span<const int32_t> targets) {
  plan_->write_ids(handles_->forward.ids, ids);
  if (handles_->forward.targets) plan_->write_ids(handles_->forward.targets, targets);
}

void ModelPlan::run(bool accumulate) { plan_->run(accumulate); }
void ModelPlan::set_loss_scale(float scale) { plan_->set_loss_scale(scale); }

double ModelPlan::mean_loss() {
  Device& device = plan_->device();
  device.synchronize();
  double mean = 0;
  device.download(&mean, device_mean_loss(), sizeof mean);
  return mean;
}

const double* ModelPlan::device_mean_loss() const {
  return plan_->device_mean(handles_->forward.mean_loss);
}

void ModelPlan::read_token_losses(std::span<float> losses) {
  plan_->read(handles_->forward.loss, 0, losses);
}

void ModelPlan::read_log_probs(int64_t first_row, std::span<float> log_probs,
                               std::span<float> entropies) {
  plan_->read(handles_->forward.log_probs, first_row * config_.vocab_size, log_probs);
  if (!entropies.empty()) plan_->read(handles_->forward.entropy, first_row, entropies);
}

std::string ModelPlan::find_non_finite() { return plan_->find_non_finite(); }
double ModelPlan::flops() const { return plan_->flops(); }
double ModelPlan::passes_of_a_block() const {
  const auto pass = static_cast<double>(batch_ * seq_len_ * config_.dim) *
                    static_cast<double>(dtype_bytes(plan_->device().compute_dtype()));
  return plan_->memory_bound_bytes(/*of_blocks=*/true) / pass / static_cast<double>(config_.layers);
}
int64_t ModelPlan::arena_bytes() const { return plan_->arena_bytes(); }

}  // namespace pg
