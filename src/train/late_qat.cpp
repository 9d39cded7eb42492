#include "src/train/late_qat.h"

#include <utility>

#include "src/base/check.h"
#include "src/train/training_params.h"

namespace pg {

LateQat::LateQat(Weights& weights, double start_lr, RoundWeights round)
    : weights_(&weights), start_lr_(start_lr), round_(std::move(round)) {
  if (start_lr == 0) return;
  PG_CHECK(round_ != nullptr, "train.late_qat_lr without the quantiser's rounding");
  saved_ =
      DeviceBuffer(weights.device(), static_cast<size_t>(weights.flat_elements()) * sizeof(float));
}

void LateQat::begin(const StepSchedule& schedule) {
  is_on_ = schedule.warmdown < start_lr_;
  if (!is_on_) return;
  weights_->device().copy(saved_.data(), weights_->masters(), saved_.bytes());
  is_rounded_ = true;
  std::vector<HostTensor> weights = weights_->download();
  std::vector<HostTensor> exported = weights;
  keep_exported(exported);
  exported = round_(exported);
  size_t next = 0;  // what only training has stays as it is
  for (HostTensor& tensor : weights) {
    if (tensor.spec.is_exported) tensor = std::move(exported.at(next++));
  }
  weights_->upload(weights);
}

void LateQat::end() {
  if (!is_rounded_) return;
  weights_->device().copy(weights_->masters(), saved_.data(), saved_.bytes());
  is_rounded_ = false;
}

}  // namespace pg
