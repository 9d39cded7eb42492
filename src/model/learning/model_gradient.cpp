#include "src/model/model.h"
#include "src/model/model_handles.h"
#include "src/plan/plan.h"

namespace pg {

void ModelPlan::set_loss_scale(float scale) { plan_->set_loss_scale(scale); }

void ModelPlan::set_target_weights(std::span<const float> weights) {
  plan_->write_constant(handles_->forward.target_weights, weights);
}

// <parts>
void ModelPlan::load_row_weights(std::span<const float> weights) {
  plan_->write_constant(handles_->forward.row_weights, weights);
}
// </parts>

}  // namespace pg
