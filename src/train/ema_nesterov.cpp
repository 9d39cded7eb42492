#include "src/train/ema_nesterov.h"

#include "src/base/check.h"

namespace pg {
namespace {

// Places in the block of scalars: gamma, and (decay, step) of the two updates.
constexpr size_t kGamma = 0, kAhead = 1, kDifference = 3;

constexpr int64_t kFlatRow = 32;  // parameters are padded to it

MatrixBatch as_rows(int64_t elements) { return {1, elements / kFlatRow, kFlatRow, elements}; }

}  // namespace

EmaNesterov::EmaNesterov(Weights& weights, const OptimizerConfig& config)
    : weights_(&weights), config_(config) {
  if (config.ema_nesterov_beta == 0) return;
  PG_CHECK(weights.flat_elements() % kFlatRow == 0, "whole rows");
  const size_t bytes = static_cast<size_t>(weights.flat_elements()) * sizeof(float);
  velocity_ = DeviceBuffer(weights.device(), bytes);
  before_ = DeviceBuffer(weights.device(), bytes);
  scalars_ = DeviceBuffer(weights.device(), sizeof host_scalars_);
}

void EmaNesterov::look_ahead(const StepSchedule& schedule) {
  if (!is_kept()) return;
  Device& device = weights_->device();
  device.copy(before_.data(), weights_->masters(), before_.bytes());
  has_moved_ = schedule.fraction >= config_.ema_nesterov_start &&
               schedule.fraction < config_.ema_nesterov_end;
  const double factor = config_.ema_nesterov_beta * schedule.lr_multiplier;
  host_scalars_[kGamma] = static_cast<float>(config_.ema_nesterov_gamma);
  host_scalars_[kAhead] = 1.0f;
  host_scalars_[kAhead + 1] = static_cast<float>(-factor);
  host_scalars_[kDifference] = host_scalars_[kDifference + 1] = -1.0f;
  device.upload(scalars_.data(), host_scalars_.data(), sizeof host_scalars_);
  if (!has_moved_) return;
  device.ops().apply_update({weights_->masters(), DType::kF32}, {velocity(), DType::kF32}, {},
                            scalar(kAhead), /*cautious=*/false, as_rows(weights_->flat_elements()));
  weights_->refresh_compute();
}

void EmaNesterov::undo() {
  if (!is_kept() || !has_moved_) return;
  weights_->device().copy(weights_->masters(), before_.data(), before_.bytes());
  weights_->refresh_compute();
}

void EmaNesterov::follow() {
  if (!is_kept()) return;
  Ops& ops = weights_->device().ops();
  const int64_t elements = weights_->flat_elements();
  // -before + w, in the place of before
  ops.apply_update({before_.data(), DType::kF32}, {weights_->masters(), DType::kF32}, {},
                   scalar(kDifference), /*cautious=*/false, as_rows(elements));
  ops.lerp({velocity(), DType::kF32}, {before_.data(), DType::kF32}, scalar(kGamma), elements);
}

}  // namespace pg
