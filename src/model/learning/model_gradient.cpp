#include "src/model/model.h"
#include "src/plan/plan.h"

namespace pg {

void ModelPlan::set_loss_scale(float scale) { plan_->set_loss_scale(scale); }

}  // namespace pg
