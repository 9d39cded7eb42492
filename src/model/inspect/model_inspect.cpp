// What a model's plan can tell of itself and of its loss, for training and benchmarks.
#include "src/model/model_handles.h"
#include "src/plan/plan.h"

namespace pg {

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

void ModelPlan::load_starts(std::span<const int32_t> starts) {
  plan_->write_ids(handles_->forward.starts, starts);
}

std::string ModelPlan::find_non_finite() { return plan_->find_non_finite(); }

double ModelPlan::flops() const { return plan_->flops(); }

double ModelPlan::passes_of_a_block() const {
  const auto pass = static_cast<double>(batch_ * (seq_len_ + config_.memory_tokens) * config_.dim) *
                    static_cast<double>(dtype_bytes(plan_->device().compute_dtype()));
  return plan_->memory_bound_bytes(/*of_blocks=*/true) / pass /
         static_cast<double>(config_.layers + loop_runs(config_));
}

int64_t ModelPlan::arena_bytes() const { return plan_->arena_bytes(); }

}  // namespace pg
