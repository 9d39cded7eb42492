#include "src/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "src/base/check.h"
#include "src/train/schedule.h"

namespace pg {
namespace {

// Keller Jordan's quintic: the same triple every iteration.
constexpr NewtonSchulzCoefficients kStock[5] = {{3.4445f, -4.7750f, 2.0315f},
                                                {3.4445f, -4.7750f, 2.0315f},
                                                {3.4445f, -4.7750f, 2.0315f},
                                                {3.4445f, -4.7750f, 2.0315f},
                                                {3.4445f, -4.7750f, 2.0315f}};

// Polar Express: the minimax polynomial of each iteration (Amsel et al. 2025;
// formulas.md 3.1).
constexpr NewtonSchulzCoefficients kPolarExpress[5] = {
    {8.156554524902461f, -22.48329292557795f, 15.878769915207462f},
    {4.042929935166739f, -2.808917465908714f, 0.5000178451051316f},
    {3.8916678022926607f, -2.772484153217685f, 0.5060648178503393f},
    {3.285753657755655f, -2.3681294933425376f, 0.46449024233003106f},
    {2.3465413258596377f, -1.7097828382687081f, 0.42323551169305323f}};

In read(const float* p) { return {p, DType::kF32}; }
Out write(float* p) { return {p, DType::kF32}; }

}  // namespace

Optimizer::Optimizer(Weights& weights, const OptimizerConfig& config)
    : weights_(&weights), config_(config) {
  PG_CHECK(weights.gradients() != nullptr, "an optimizer needs gradients");
  PG_CHECK(weights.gradient_elements() == weights.flat_elements(),
           "the optimizer trains every parameter; frozen ones are for test-time training");
  Device& device = weights.device();
  const size_t flat_bytes = static_cast<size_t>(weights.flat_elements()) * sizeof(float);
  first_ = DeviceBuffer(device, flat_bytes);
  second_ = DeviceBuffer(device, flat_bytes);
  int64_t largest = 1;
  for (int i = 0; i < weights.count(); ++i) {
    if (weights.spec(i).group == ParamGroup::kMatrix) {
      largest = std::max(largest, weights.spec(i).elements());
    }
  }
  update_ = DeviceBuffer(device, static_cast<size_t>(largest) * sizeof(float));
  squares_ = DeviceBuffer(device, sizeof(double));
  coefficient_ = DeviceBuffer(device, sizeof(float));
}

void Optimizer::step(int64_t steps_done, double lr_multiplier) {
  Ops& ops = weights_->device().ops();
  // Padding between parameters is zero, so the flat range has the norm of all gradients.
  ops.sum_squares({squares_.data(), DType::kF64}, read(weights_->gradients()),
                  weights_->flat_elements());
  ops.clip_coefficient(write(coefficient_.as<float>()), {squares_.data(), DType::kF64},
                       static_cast<float>(config_.grad_clip_norm));
  const double momentum = muon_momentum(config_, steps_done);
  for (int i = 0; i < weights_->count(); ++i) {
    const int64_t offset = weights_->gradient(i) - weights_->gradients();
    if (weights_->spec(i).group == ParamGroup::kMatrix) {
      step_muon(i, offset, lr_multiplier, momentum);
    } else {
      step_adamw(i, offset, steps_done, lr_multiplier);
    }
  }
  weights_->refresh_compute();
}

void Optimizer::step_muon(int index, int64_t offset, double lr_multiplier, double momentum) {
  Ops& ops = weights_->device().ops();
  const ParamSpec& spec = weights_->spec(index);
  const Out update = write(update_.as<float>());
  ops.muon_momentum(update, write(first_.as<float>() + offset), read(weights_->gradient(index)),
                    read(coefficient_.as<float>()), static_cast<float>(momentum),
                    config_.muon_row_norm, spec.rows, spec.cols);
  const auto& coefficients =
      config_.newton_schulz == NewtonSchulz::kPolarExpress ? kPolarExpress : kStock;
  ops.newton_schulz(update,
                    std::span(coefficients).first(static_cast<size_t>(config_.newton_schulz_steps)),
                    spec.rows, spec.cols);
  const double lr = config_.matrix_lr * lr_multiplier;
  const double shape_scale =
      std::sqrt(std::max(1.0, static_cast<double>(spec.rows) / static_cast<double>(spec.cols)));
  ops.apply_update(write(weights_->master(index)), read(update_.as<float>()),
                   static_cast<float>(1.0 - lr * config_.muon_weight_decay),
                   static_cast<float>(lr * shape_scale), spec.elements());
}

void Optimizer::step_adamw(int index, int64_t offset, int64_t steps_done, double lr_multiplier) {
  const ParamSpec& spec = weights_->spec(index);
  const double base_lr =
      spec.group == ParamGroup::kEmbedding ? config_.embed_lr : config_.scalar_lr;
  const double step = static_cast<double>(steps_done + 1);
  const AdamWStep adamw{static_cast<float>(base_lr * lr_multiplier),
                        static_cast<float>(config_.adam_beta1),
                        static_cast<float>(config_.adam_beta2),
                        static_cast<float>(config_.adam_epsilon),
                        static_cast<float>(config_.adam_weight_decay),
                        static_cast<float>(1.0 - std::pow(config_.adam_beta1, step)),
                        static_cast<float>(1.0 - std::pow(config_.adam_beta2, step))};
  weights_->device().ops().adamw(write(weights_->master(index)), write(first_.as<float>() + offset),
                                 write(second_.as<float>() + offset),
                                 read(weights_->gradient(index)), read(coefficient_.as<float>()),
                                 adamw, spec.elements());
}

double Optimizer::grad_norm() const {
  Device& device = weights_->device();
  device.synchronize();
  double squares = 0;
  device.download(&squares, squares_.data(), sizeof squares);
  return std::sqrt(squares);
}

std::vector<float> Optimizer::download_state() const {
  Device& device = weights_->device();
  device.synchronize();
  const size_t flat = static_cast<size_t>(weights_->flat_elements());
  std::vector<float> state(2 * flat);
  device.download(state.data(), first_.data(), flat * sizeof(float));
  device.download(state.data() + flat, second_.data(), flat * sizeof(float));
  return state;
}

void Optimizer::upload_state(const std::vector<float>& state) {
  const size_t flat = static_cast<size_t>(weights_->flat_elements());
  PG_CHECK(state.size() == 2 * flat, "optimizer state of another model");
  weights_->device().upload(first_.data(), state.data(), flat * sizeof(float));
  weights_->device().upload(second_.data(), state.data() + flat, flat * sizeof(float));
}

}  // namespace pg
