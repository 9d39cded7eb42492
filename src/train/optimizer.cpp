#include "src/train/optimizer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>

#include "src/base/check.h"
#include "src/base/exact_math.h"
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

// Places in the block of scalars: two AdamW steps, the momentum, then (decay, step) of each of the
// rank's batches of matrices.
constexpr size_t kEmbeddingStep = 0;
constexpr size_t kSmallStep = kEmbeddingStep + kAdamWScalars;
constexpr size_t kMomentum = kSmallStep + kAdamWScalars;
constexpr size_t kMuonSteps = kMomentum + 1;

AdamWStep make_adamw_step(const OptimizerConfig& config, double lr, int64_t steps_done) {
  const double step = static_cast<double>(steps_done + 1);
  return {static_cast<float>(lr),
          static_cast<float>(config.adam_beta1),
          static_cast<float>(config.adam_beta2),
          static_cast<float>(config.adam_epsilon),
          static_cast<float>(config.adam_weight_decay),
          static_cast<float>(1.0 - pow_f64(config.adam_beta1, step)),
          static_cast<float>(1.0 - pow_f64(config.adam_beta2, step))};
}

void put(std::vector<float>& scalars, size_t place, const AdamWStep& step) {
  const auto values = std::bit_cast<std::array<float, kAdamWScalars>>(step);
  std::copy(values.begin(), values.end(), scalars.begin() + static_cast<int64_t>(place));
}

}  // namespace

Optimizer::Optimizer(Weights& weights, const OptimizerConfig& config, int rank, int ranks)
    : weights_(&weights), config_(config), rank_(rank), work_(divide_work(weights, ranks)) {
  PG_CHECK(weights.gradients() != nullptr, "an optimizer needs gradients");
  Device& device = weights.device();
  const int64_t flat = weights.flat_elements(), matrices = weights.layout().matrix_elements();
  first_ = DeviceBuffer(device, static_cast<size_t>(flat) * sizeof(float));
  second_ = DeviceBuffer(device, static_cast<size_t>(flat - matrices) * sizeof(float));
  int64_t largest = 1;
  for (const MuonWork& work : own_work().muon) {
    largest = std::max(largest, work.shape.count * work.shape.stride);
  }
  update_ = DeviceBuffer(device, static_cast<size_t>(largest) * sizeof(float));
  sums_ = DeviceBuffer(device, static_cast<size_t>(work_.sums) * sizeof(double));
  squares_ = DeviceBuffer(device, sizeof(double));
  coefficient_ = DeviceBuffer(device, sizeof(float));
  host_scalars_.resize(kMuonSteps + 2 * own_work().muon.size());
  scalars_ = DeviceBuffer(device, host_scalars_.size() * sizeof(float));
}

void Optimizer::step(int64_t steps_done, double lr_multiplier) {
  sum_squares();
  begin_step(steps_done, lr_multiplier);
  step_adamw();
  for (int bank = 0; bank < work_.banks; ++bank) step_muon(bank);
  weights_->refresh_compute();
}

void Optimizer::sum_squares() {
  Ops& ops = weights_->device().ops();
  const auto sum = [&](int64_t offset, const MatrixBatch& shape, int64_t first_sum,
                       int64_t sums_stride) {
    ops.sum_squares({square_sums() + first_sum, DType::kF64}, read(weights_->gradients() + offset),
                    shape, sums_stride);
  };
  for (const AdamWWork& work : own_work().adamw) {
    sum(work.offset, {1, 1, work.elements, work.elements}, work.first_sum, 0);
  }
  for (const MuonWork& work : own_work().muon) {
    sum(work.offset, work.shape, work.first_sum, work.sums_stride);
  }
}

void Optimizer::begin_step(int64_t steps_done, double lr_multiplier) {
  put(host_scalars_, kEmbeddingStep,
      make_adamw_step(config_, config_.embed_lr * lr_multiplier, steps_done));
  put(host_scalars_, kSmallStep,
      make_adamw_step(config_, config_.scalar_lr * lr_multiplier, steps_done));
  host_scalars_[kMomentum] = static_cast<float>(muon_momentum(config_, steps_done));
  const double lr = config_.matrix_lr * lr_multiplier;
  for (size_t i = 0; i < own_work().muon.size(); ++i) {
    const MatrixBatch& shape = own_work().muon[i].shape;
    const double shape_scale =
        std::sqrt(std::max(1.0, static_cast<double>(shape.rows) / static_cast<double>(shape.cols)));
    host_scalars_[kMuonSteps + 2 * i] = static_cast<float>(1.0 - lr * config_.muon_weight_decay);
    host_scalars_[kMuonSteps + 2 * i + 1] = static_cast<float>(lr * shape_scale);
  }
  Device& device = weights_->device();
  device.upload(scalars_.data(), host_scalars_.data(), host_scalars_.size() * sizeof(float));
  device.ops().sum_pieces({squares_.data(), DType::kF64}, {sums_.data(), DType::kF64}, work_.sums);
  device.ops().clip_coefficient(write(coefficient_.as<float>()), {squares_.data(), DType::kF64},
                                static_cast<float>(config_.grad_clip_norm));
}

void Optimizer::step_adamw() {
  for (const AdamWWork& work : own_work().adamw) {
    weights_->device().ops().adamw(
        write(weights_->masters() + work.offset), write(first_moments() + work.offset),
        write(second_moments() + (work.offset - weights_->layout().matrix_elements())),
        read(weights_->gradients() + work.offset), read(coefficient_.as<float>()),
        scalars_at(work.group == ParamGroup::kEmbedding ? kEmbeddingStep : kSmallStep),
        /*cautious=*/false, work.elements);
  }
}

void Optimizer::step_muon(int bank) {
  Ops& ops = weights_->device().ops();
  const auto& coefficients =
      config_.newton_schulz == NewtonSchulz::kPolarExpress ? kPolarExpress : kStock;
  const auto steps =
      std::span(coefficients).first(static_cast<size_t>(config_.newton_schulz_steps));
  const Out update = write(update_.as<float>());
  for (size_t i = 0; i < own_work().muon.size(); ++i) {
    const MuonWork& work = own_work().muon[i];
    if (work.bank != bank) continue;
    const int64_t offset = work.offset;
    const MatrixBatch& shape = work.shape;
    ops.muon_momentum(update, write(first_moments() + offset), read(weights_->gradients() + offset),
                      read(coefficient_.as<float>()), scalars_at(kMomentum), config_.muon_row_norm,
                      shape);
    ops.newton_schulz(update, steps, NewtonSchulzStart::kNorm, shape);
    ops.apply_update(write(weights_->masters() + offset), read(update_.as<float>()),
                     read(coefficient_.as<float>()), scalars_at(kMuonSteps + 2 * i),
                     /*cautious=*/false, shape);
  }
}

int64_t Optimizer::ops_per_step() const {
  const auto adamw = static_cast<int64_t>(own_work().adamw.size());
  const auto muon = static_cast<int64_t>(own_work().muon.size());
  // A sum of squares each; AdamW is one op, Muon three; the norm and the coefficient.
  return 2 * adamw + 4 * muon + 2 + weights_->refresh_ops();
}

double Optimizer::flops_per_step() const {
  double flops = 0;
  for (const MuonWork& work : own_work().muon) {
    const MatrixBatch& shape = work.shape;
    flops += static_cast<double>(shape.count * newton_schulz_flops(shape.rows, shape.cols));
  }
  return flops * static_cast<double>(config_.newton_schulz_steps);
}

double Optimizer::grad_norm() const {
  Device& device = weights_->device();
  device.synchronize();
  double squares = 0;
  device.download(&squares, squares_.data(), sizeof squares);
  return std::sqrt(squares);
}

}  // namespace pg
