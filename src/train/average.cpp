#include "src/train/average.h"

#include <fmt/format.h>

namespace pg {

Averager::Averager(Weights& weights, const TrainConfig& config)
    : weights_(&weights), config_(config) {
  if (config.average == Average::kNone) return;
  Device& device = weights.device();
  const size_t flat = static_cast<size_t>(weights.flat_elements());
  average_ = DeviceBuffer(device, flat * sizeof(float));
  decay_ = DeviceBuffer(device, sizeof(float));
  device.ops().cast({average_.data(), DType::kF32}, {weights.masters(), DType::kF32},
                    weights.flat_elements());
}

bool Averager::update(int64_t steps_done, double lr_multiplier) {
  if (!is_kept()) return false;
  double decay = config_.ema_decay;
  if (config_.average == Average::kSwa) {
    const bool due = lr_multiplier < config_.swa_start_lr && steps_done % config_.swa_every == 0;
    if (!due && snapshots_ > 0) return false;
    // The running mean of n snapshots; until the first one is due, the "mean" follows the last
    // weights.
    decay = static_cast<double>(snapshots_) / static_cast<double>(snapshots_ + 1);
    if (due) ++snapshots_;
  }
  Device& device = weights_->device();
  const auto decay_f32 = static_cast<float>(decay);
  device.upload(decay_.data(), &decay_f32, sizeof decay_f32);
  device.ops().lerp({average_.data(), DType::kF32}, {weights_->masters(), DType::kF32},
                    {decay_.data(), DType::kF32}, weights_->flat_elements());
  return config_.average == Average::kSwa && snapshots_ == 1 && decay == 0.0;
}

std::string Averager::describe() const {
  if (config_.average == Average::kEma) return fmt::format("ema {}", config_.ema_decay);
  if (config_.average == Average::kSwa) return fmt::format("swa of {}", snapshots_);
  return "none";
}

std::vector<HostTensor> Averager::download() const {
  std::vector<HostTensor> tensors;
  download(tensors);
  return tensors;
}

void Averager::download(std::vector<HostTensor>& tensors) const {
  Device& device = weights_->device();
  device.synchronize();
  tensors.resize(static_cast<size_t>(weights_->count()));
  for (int i = 0; i < weights_->count(); ++i) {
    HostTensor& tensor = tensors[static_cast<size_t>(i)];
    tensor.spec = weights_->spec(i);
    tensor.values.resize(static_cast<size_t>(tensor.spec.elements()));
    const int64_t offset = weights_->master(i) - weights_->masters();
    const float* from = is_kept() ? average_.as<float>() + offset : weights_->master(i);
    device.download(tensor.values.data(), from, tensor.values.size() * sizeof(float));
  }
}

}  // namespace pg
