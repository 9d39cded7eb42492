#include "src/train/average.h"

#include <fmt/format.h>

#include <algorithm>

namespace pg {
namespace {

// Whether `kept`, a value of train.average, keeps `average`, one that can be exported.
bool keeps(Average kept, Average average) {
  if (kept == Average::kBest) return average != Average::kLawa;
  return kept == average || (kept == Average::kEmaSwa && average == Average::kEma);
}

bool has_late_start(const TrainConfig& config) {
  return config.ema_start_fraction > 0 || config.ema_start_lr > 0;
}

// x joins the mean of n others: mean = n/(n+1) mean + 1/(n+1) x.
double mean_decay(int64_t n) { return static_cast<double>(n) / static_cast<double>(n + 1); }

}  // namespace

int64_t Averager::count_kept(const TrainConfig& config) {
  if (config.average == Average::kLawa) return config.lawa_count;
  return config.average == Average::kBest ? 2 : config.average == Average::kEmaSwa ? 1 : 0;
}

Averager::Averager(Weights& weights, const TrainConfig& config)
    : weights_(&weights), config_(config) {
  if (config.average == Average::kNone) return;
  Device& device = weights.device();
  const size_t flat = static_cast<size_t>(weights.flat_elements()) * sizeof(float);
  average_ = DeviceBuffer(device, flat);
  if (const int64_t kept = count_kept(config); kept > 0) {
    kept_ = DeviceBuffer(device, static_cast<size_t>(kept) * flat);
  }
  std::vector<float> decays(
      config.average == Average::kLawa ? static_cast<size_t>(config.lawa_count) : 1);
  for (size_t i = 0; i < decays.size(); ++i) {
    decays[i] = static_cast<float>(mean_decay(static_cast<int64_t>(i)));
  }
  decay_ = DeviceBuffer(device, decays.size() * sizeof(float));
  device.upload(decay_.data(), decays.data(), decay_.bytes());
  device.ops().cast({average_.data(), DType::kF32}, {weights.masters(), DType::kF32},
                    weights.flat_elements());
}

void Averager::set_progress(int64_t progress) {
  begins_ = progress >> 32;
  snapshots_ = progress & 0xffffffff;
}

bool Averager::update(int64_t steps_done, const StepSchedule& schedule) {
  if (keeps(config_.average, Average::kEma)) update_ema(schedule);
  if (config_.average == Average::kLawa) update_lawa(steps_done);
  const bool has_swa =
      keeps(config_.average, Average::kSwa) || keeps(config_.average, Average::kEmaSwa);
  return has_swa && update_swa(steps_done, schedule);
}

void Averager::update_ema(const StepSchedule& schedule) {
  const bool starts_late = has_late_start(config_);
  const bool is_waiting = starts_late && begins_ == 0;
  bool begins = false;
  if (is_waiting) {
    begins = schedule.fraction >= config_.ema_start_fraction &&
             (config_.ema_start_lr == 0 || schedule.warmdown < config_.ema_start_lr);
  } else if (config_.ema_restart_fraction > 0 && begins_ == (starts_late ? 1 : 0)) {
    begins = schedule.fraction >= config_.ema_restart_fraction;
  }
  if (begins) ++begins_;
  lerp(state(), weights_->masters(), begins || is_waiting ? 0.0 : config_.ema_decay);
}

bool Averager::update_swa(int64_t steps_done, const StepSchedule& schedule) {
  const bool is_alone = config_.average == Average::kSwa;
  const bool due = schedule.warmdown < config_.swa_start_lr && steps_done % config_.swa_every == 0;
  // Until the first one is due, the "mean" follows the last weights; beside an EMA it is not looked at.
  if (!due && (snapshots_ > 0 || !is_alone)) return false;
  const double decay = mean_decay(snapshots_);
  if (is_alone) {
    lerp(state(), weights_->masters(), decay);
  } else {
    lerp(kept_snapshots(), state(), decay);
  }
  if (config_.average == Average::kBest) lerp(mean_of_weights(), weights_->masters(), decay);
  if (due) ++snapshots_;
  return due && snapshots_ == 1;
}

// The newest takes the place of the oldest; their mean is taken anew, the oldest first, so that it
// does not depend on those that are gone.
void Averager::update_lawa(int64_t steps_done) {
  if (steps_done % config_.lawa_every != 0) return;
  Device& device = weights_->device();
  const int64_t flat = weights_->flat_elements();
  const auto place = [&](int64_t snapshot) {
    return kept_snapshots() + snapshot % config_.lawa_count * flat;
  };
  device.copy(place(snapshots_), weights_->masters(), average_.bytes());
  ++snapshots_;
  const int64_t count = std::min(snapshots_, config_.lawa_count);
  for (int64_t i = 0; i < count; ++i) {
    device.ops().lerp({average_.data(), DType::kF32}, {place(snapshots_ - count + i), DType::kF32},
                      {decay_.as<float>() + i, DType::kF32}, flat);
  }
}

void Averager::lerp(float* average, const float* x, double decay) {
  Device& device = weights_->device();
  const auto decay_f32 = static_cast<float>(decay);
  device.upload(decay_.data(), &decay_f32, sizeof decay_f32);
  device.ops().lerp({average, DType::kF32}, {x, DType::kF32}, {decay_.data(), DType::kF32},
                    weights_->flat_elements());
}

std::vector<Average> Averager::candidates() const {
  if (config_.average != Average::kBest) return {config_.average};
  if (snapshots_ == 0) return {Average::kEma, Average::kNone};
  return {Average::kEma, Average::kEmaSwa, Average::kSwa, Average::kNone};
}

std::string Averager::describe(Average candidate) const {
  switch (candidate) {
    case Average::kEma:
      return fmt::format("ema {}", config_.ema_decay);
    case Average::kSwa:
      return fmt::format("swa of {}", snapshots_);
    case Average::kEmaSwa:
      return fmt::format("swa of {} of ema {}", snapshots_, config_.ema_decay);
    case Average::kLawa:
      return fmt::format("lawa of {}", std::min(snapshots_, config_.lawa_count));
    case Average::kNone:
    case Average::kBest:
      break;
  }
  return "none";
}

std::vector<HostTensor> Averager::download(Average candidate) const {
  std::vector<HostTensor> tensors;
  download(candidate, tensors);
  return tensors;
}

const float* Averager::place_of(Average candidate) const {
  const bool is_last = candidate == Average::kLawa && snapshots_ == 0;
  if (candidate == Average::kNone || is_last) return weights_->masters();
  if (candidate == Average::kEmaSwa && snapshots_ > 0) return kept_snapshots();
  const bool is_beside_ema = candidate == Average::kSwa && config_.average == Average::kBest;
  return is_beside_ema ? mean_of_weights() : state();
}

void Averager::download(std::vector<HostTensor>& tensors) const {
  download(candidates().front(), tensors);
}

void Averager::download(Average candidate, std::vector<HostTensor>& tensors) const {
  Device& device = weights_->device();
  device.synchronize();
  const auto is_exported = [](const ParamSpec& spec) { return spec.is_exported; };
  tensors.resize(static_cast<size_t>(std::ranges::count_if(weights_->specs(), is_exported)));
  size_t at = 0;
  for (int i = 0; i < weights_->count(); ++i) {
    if (!weights_->spec(i).is_exported) continue;
    HostTensor& tensor = tensors[at++];
    tensor.spec = weights_->spec(i);
    tensor.values.resize(static_cast<size_t>(tensor.spec.elements()));
    const int64_t offset = weights_->master(i) - weights_->masters();
    device.download(tensor.values.data(), place_of(candidate) + offset,
                    tensor.values.size() * sizeof(float));
  }
}

}  // namespace pg
