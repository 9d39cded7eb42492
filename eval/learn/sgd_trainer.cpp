#include "eval/learn/sgd_trainer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numbers>

#include "src/base/exact_math.h"
#include "src/base/hash.h"
// <parts>
#include "src/data/tokenizer.h"
// </parts>
#include "src/model/learning/adapters.h"

namespace pg {
namespace {

// Rows of flat memory as the optimizer's ops see them; ranges are padded to this many elements.
constexpr int64_t kFlatRow = 32;

MatrixBatch flat(int64_t elements) { return {1, elements / kFlatRow, kFlatRow, elements}; }

}  // namespace

std::vector<ParamSpec> choose_sgd_params(const ModelConfig& model, const TttConfig& config) {
  std::vector<ParamSpec> params = list_params(model);
  freeze_blocks(params, config.frozen_blocks);
  // <parts>
  for (ParamSpec& param : params) {
    if (config.frozen_scales) break;
    // The gradient of a row scale is made from its matrix's, which TrainingRows takes for zeros.
    param.trainable |= param.group == ParamGroup::kScalar || param.has_row_scale();
  }
  // </parts>
  return params;
}

SgdTrainer::SgdTrainer(const ModelConfig& model, const TttConfig& config, int64_t context,
                       Weights& weights)
    : config_(config),
      context_(context),
      weights_(&weights),
      rows_(model, config, weights, std::max<int64_t>(config.batch_tokens / context, 1), context) {
  windows_.reserve(static_cast<size_t>(rows_.rows()));
  const size_t bytes = static_cast<size_t>(weights.gradient_elements()) * sizeof(float);
  momentum_ = DeviceBuffer(weights.device(), bytes);
  scalars_ = DeviceBuffer(weights.device(), 3 * sizeof(float));
  // <parts>
  if (config.optimizer == TttOptimizer::kAdamw) {
    second_ = DeviceBuffer(weights.device(), bytes);
    adamw_ = DeviceBuffer(weights.device(), sizeof(AdamWStep));
  }
  if (config.polyak_decay > 0) {
    average_ = DeviceBuffer(weights.device(), bytes);
    latest_ = DeviceBuffer(weights.device(), bytes);
    const auto decay = static_cast<float>(config.polyak_decay);
    const std::array<float, 2> decay_step = {decay, decay - 1};
    polyak_ = DeviceBuffer(weights.device(), sizeof decay_step);
    weights.device().upload(polyak_.data(), decay_step.data(), sizeof decay_step);
    copy_trained(average_.as<float>(), weights.masters(), /*to_masters=*/false);
    copy_trained(latest_.as<float>(), weights.masters(), /*to_masters=*/false);
  }
  // </parts>
}

// <parts>
// Between the masters and a flat array as the gradients lie.
void SgdTrainer::copy_trained(float* to, const float* from, bool to_masters) {
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    const int64_t flat = range.gradient_offset, master = range.offset;
    weights_->device().copy(to + (to_masters ? master : flat), from + (to_masters ? flat : master),
                            static_cast<size_t>(range.elements) * sizeof(float));
  }
}

void SgdTrainer::take_up() {
  if (average_.data() == nullptr) return;
  copy_trained(weights_->masters(), latest_.as<float>(), /*to_masters=*/true);
  weights_->refresh_trained();
}

void SgdTrainer::train_scales_alone(bool alone) {
  if (alone == scales_alone_) return;
  scales_alone_ = alone;
  // </parts>
  // <train_gpt>
  kept_.reset();  // it has the memory of the old moments
  // </train_gpt>
  // <parts>
  rows_.train_scales_alone(alone);
  steps_ = 0;
  momentum_ = DeviceBuffer(weights_->device(), momentum_.bytes());
  if (second_.data() != nullptr) second_ = DeviceBuffer(weights_->device(), second_.bytes());
}

void SgdTrainer::put_down() {
  if (average_.data() == nullptr) return;
  copy_trained(latest_.as<float>(), weights_->masters(), /*to_masters=*/false);
  copy_trained(weights_->masters(), average_.as<float>(), /*to_masters=*/true);
  for (const int param : rows_.held()) {  // whose average has roundings alone
    weights_->device().copy(weights_->master(param),
                            latest_.as<float>() + weights_->layout().gradient_offset(param),
                            static_cast<size_t>(weights_->spec(param).elements()) * sizeof(float));
  }
  weights_->refresh_trained();
}

// average = d average - (d - 1) w, by an op that a scorer which learns has anyway.
void SgdTrainer::follow_average() {
  if (average_.data() == nullptr) return;
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    weights_->device().ops().apply_update(
        {average_.as<float>() + range.gradient_offset, DType::kF32},
        {weights_->masters() + range.offset, DType::kF32}, rows_.clip_coefficient(),
        {polyak_.data(), DType::kF32}, /*cautious=*/false, flat(range.elements));
  }
}

void SgdTrainer::load_adamw(double lr) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;  // as published
  ++steps_;
  const auto step = static_cast<double>(steps_);
  const AdamWStep numbers = {.lr = static_cast<float>(lr),
                             .beta1 = static_cast<float>(kBeta1),
                             .beta2 = static_cast<float>(kBeta2),
                             .epsilon = static_cast<float>(kEpsilon),
                             .weight_decay = 0,
                             .bias1 = static_cast<float>(1 - pow_f64(kBeta1, step)),
                             .bias2 = static_cast<float>(1 - pow_f64(kBeta2, step))};
  weights_->device().upload(adamw_.data(), &numbers, sizeof numbers);
}

void SgdTrainer::give_adamw() {
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    const int64_t flat = range.gradient_offset;
    weights_->device().ops().adamw(
        {weights_->masters() + range.offset, DType::kF32},
        {momentum_.as<float>() + flat, DType::kF32}, {second_.as<float>() + flat, DType::kF32},
        {weights_->gradients() + flat, DType::kF32}, rows_.clip_coefficient(),
        {adamw_.data(), DType::kF32}, /*cautious=*/false, range.elements);
  }
}
// </parts>

void SgdTrainer::train_pass(std::span<const int32_t> tokens, int64_t first, int64_t end,
                            double lr) {
  while (first < end) {
    windows_.clear();
    for (int64_t row = 0; row < rows_.rows() && first < end; ++row) {
      int64_t row_end = std::min(first + context_, end);
      // <parts>
      if (config_.by_document) {  // the BOS of the next document is the last target of a document
        const auto row =
            tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(row_end - first));
        const auto bos = std::find(row.begin(), row.end(), kBosId);
        if (bos != row.end()) row_end = first + (bos - row.begin()) + 1;
      }
      // </parts>
      windows_.push_back({.begin = first - 1, .first = first, .end = row_end});
      first = row_end;
    }
    rows_.compute_gradient(tokens, windows_, config_.clip_norm);
    // <parts>
    if (config_.optimizer == TttOptimizer::kAdamw) {
      load_adamw(lr);
    } else
      // </parts>
      load_step(lr);
    // <train_gpt>
    for (Repetition run(weights_->device(), kept_); run.is_due();)
      // </train_gpt>
      give_step();
  }
}

void SgdTrainer::load_step(double lr) {
  const std::array<float, 3> numbers = {static_cast<float>(config_.momentum), /*decay*/ 1.0f,
                                        static_cast<float>(lr)};
  weights_->device().upload(scalars_.data(), numbers.data(), sizeof numbers);
}

void SgdTrainer::give_step() {
  // <parts>
  if (config_.optimizer == TttOptimizer::kAdamw) {
    give_adamw();
  } else
    // </parts>
    give_sgd();
  weights_->refresh_trained();
  // <parts>
  follow_average();
  // </parts>
}

// m = mu m + g', p = p - lr m. muon_momentum() gives this m; its own result, Nesterov's, is unused.
void SgdTrainer::give_sgd() {
  Ops& ops = weights_->device().ops();
  const In momentum{scalars_.data(), DType::kF32};
  const In decay_step{scalars_.as<float>() + 1, DType::kF32};
  ops.muon_momentum({}, {momentum_.data(), DType::kF32}, {weights_->gradients(), DType::kF32},
                    rows_.clip_coefficient(), momentum, /*row_norm=*/false,
                    flat(weights_->gradient_elements()));
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    ops.apply_update({weights_->masters() + range.offset, DType::kF32},
                     {momentum_.as<float>() + range.gradient_offset, DType::kF32},
                     rows_.clip_coefficient(), decay_step, /*cautious=*/false,
                     flat(range.elements));
  }
}

// <train_gpt>
uint64_t SgdTrainer::state_hash() const {
  Device& device = weights_->device();
  uint64_t hash =
      hash_floats(device, momentum_.as<float>(), weights_->gradient_elements(), kFnvOffset);
  for (int i = 0; i < weights_->count(); ++i) {
    if (!weights_->spec(i).trainable) continue;
    hash = hash_floats(device, weights_->master(i), weights_->spec(i).elements(), hash);
  }
  if (second_.data() != nullptr) {
    hash = fnv1a(std::bit_cast<std::array<uint8_t, sizeof(steps_)>>(steps_), hash);
  }
  for (const DeviceBuffer* state : {&second_, &average_, &latest_}) {
    if (state->data() == nullptr) continue;
    hash = hash_floats(device, state->as<float>(), weights_->gradient_elements(), hash);
  }
  return hash;
}
// </train_gpt>

// <parts>
double adaptive_multiplier(int64_t chunk, int64_t chunks, double most) {
  const double ramp = std::max(0.3 * static_cast<double>(chunks), 1.0);
  return 1 + (most - 1) * std::min(static_cast<double>(chunk) / ramp, 1.0);
}
// </parts>

double cosine_multiplier(int64_t step, int64_t steps) {
  if (steps < 2) return 1.0;
  const double part =
      static_cast<double>(std::min(step, steps - 1)) / static_cast<double>(steps - 1);
  return 0.5 * (1.0 + sin_cos_f64(std::numbers::pi * part).cos);
}

double learning_rate(const TttConfig& config, int64_t step, int64_t steps) {
  // <parts>
  if (!config.cosine) return config.lr;
  // </parts>
  return config.lr * cosine_multiplier(step, steps);
}

}  // namespace pg
