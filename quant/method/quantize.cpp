// Weights to codes: routes every parameter to its storage, widens all scales to the cap, and gives
// each matrix the share of the bytes that lowers the loss most.
//
// A value beyond fp16 is an error, not clamped: weights of that size mean a run that diverged, and
// clamping would score a model that nobody trained.
#include "quant/method/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "quant/coder/weight_coder.h"
#include "quant/format/artifact_format.h"
#include "quant/format/half.h"
#include "quant/format/storage_bits.h"
#include "quant/method/awq_lite.h"
#include "quant/method/fill_cap.h"
#include "quant/method/gradient_bits.h"
#include "quant/method/hidden_order.h"
#include "quant/method/lqer.h"
#include "quant/method/matrix_quantizer.h"
#include "quant/method/seal.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {
namespace {

// Of filling a cap by zstd or lzma, which take seconds for each megabyte: after so many the best so
// far stands, and a cap is full but for this share.
constexpr int kMostPackings = 12;
constexpr int64_t kPackedSlackShare = 2048;

constexpr const char* kAdvice = "go back to an earlier checkpoint or lower the learning rate";

void require_match(const ParamSpec& have, const ParamSpec& want) {
  if (have.name == want.name && have.rows == want.rows && have.cols == want.cols) return;
  throw Error(fmt::format(
      "weights do not fit the model: found \"{}\" [{}, {}] where \"{}\" [{}, {}] belongs; give the "
      "weights of this very configuration",
      have.name, have.rows, have.cols, want.name, want.rows, want.cols));
}

void require_finite(const HostTensor& weights) {
  for (size_t i = 0; i < weights.values.size(); ++i) {
    if (!std::isfinite(weights.values[i])) {
      throw Error(fmt::format("weight is not finite: \"{}\" has {} at index {}; {}",
                              weights.spec.name, weights.values[i], i, kAdvice));
    }
  }
}

void check_weights(const ModelConfig& config, const std::vector<HostTensor>& weights) {
  const std::vector<ParamSpec> specs = list_params(config);
  if (weights.size() != specs.size()) {
    throw Error(
        fmt::format("weights do not fit the model: \"{}\" tensors where {} belong; give the "
                    "weights of this very configuration",
                    weights.size(), specs.size()));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    require_match(weights[i].spec, specs[i]);
    require_finite(weights[i]);
  }
}

QuantTensor keep_halves(const HostTensor& weights) {
  QuantTensor out{.name = weights.spec.name, .rows = weights.spec.rows, .cols = weights.spec.cols};
  for (const float value : weights.values) {
    out.halves.push_back(half_from_float(value));
    if (is_finite_half(out.halves.back())) continue;
    throw Error(fmt::format(
        "weight is too large for fp16: the value of \"{}\" at index {} passes 65504; {}",
        weights.spec.name, out.halves.size() - 1, kAdvice));
  }
  return out;
}

// The whole model on its way: one quantiser per matrix, the rest kept in fp16.
class ModelQuantizer {
 public:
  ModelQuantizer(const QuantInput& input, const QuantConfig& quant, const CodeSizes& code_bytes);
  QuantResult run();

 private:
  void sort_hidden();
  size_t find_place(const ParamPlace& place) const;  // the number of weights when there is none
  void make_quantizers();
  std::vector<int> list_bit_changes() const;  // per tensor
  void choose_fine_columns();
  // "what, 12 of 66 tensors"
  void report(const std::string& what, size_t tensor) const;
  void quantize_at(double coarseness);  // into model_
  double estimate_bytes(double coarseness) const;
  int64_t measure_bytes() const;
  FillTask make_fill_task();
  Coder choose_coder();
  double coarseness_of(size_t tensor, double coarseness) const {
    return std::max(coarseness * multipliers_[tensor], quantizers_[tensor]->least_coarseness());
  }
  void even_out_rates(double coarseness);
  void correct_low_rank();
  std::vector<TensorAllocation> list_allocation(double coarseness);
  double price(const QuantTensor& tensor) const;
  std::shared_ptr<const GptqFactor> share_factor(size_t tensor);

  const QuantConfig& quant_;
  const WorkProgressFn& progress_;
  CodeSizes code_bytes_;
  int tries_ = 0;                                           // of quantising the whole model
  std::vector<HostTensor> weights_;                         // hidden units in their final order
  std::vector<std::optional<SensitivityTerm>> terms_;       // per tensor
  std::vector<std::optional<MatrixQuantizer>> quantizers_;  // per tensor; none: fp16
  std::vector<std::pair<size_t, std::shared_ptr<const GptqFactor>>> factors_;
  std::vector<int> roles_;
  std::vector<double> multipliers_;  // of the coarseness, per tensor
  std::vector<double> losses_;       // predicted, per tensor
  QuantModel model_;
};

ModelQuantizer::ModelQuantizer(const QuantInput& input, const QuantConfig& quant,
                               const CodeSizes& code_bytes)
    : quant_(quant), progress_(input.progress), code_bytes_(code_bytes), weights_(*input.weights) {
  check_weights(*input.config, weights_);
  const std::vector<ParamSpec> specs = list_params(*input.config);
  for (size_t i = 0; i < specs.size(); ++i) weights_[i].spec = specs[i];  // with group and place
  roles_.resize(specs.size());
  for (const PayloadEntry& entry : order_payload(specs)) roles_[entry.tensor] = entry.role;
  terms_.resize(specs.size());
  for (size_t i = 0; i < specs.size() && input.calibration != nullptr; ++i) {
    const Sensitivity* found = input.calibration->find(specs[i].name);
    if (found != nullptr) terms_[i] = combine_terms(*found);
  }
  model_.config = *input.config;
  model_.tokenizer_sha256 = input.tokenizer_sha256;
  model_.scoring_keys = input.scoring_keys;
  model_.tensors.resize(specs.size());
  multipliers_.assign(specs.size(), 1.0);
  losses_.assign(specs.size(), 0.0);
  if (quant.sort_hidden) sort_hidden();
  make_quantizers();
}

void ModelQuantizer::report(const std::string& what, size_t tensor) const {
  if (progress_) progress_(fmt::format("{}, {} of {} tensors", what, tensor + 1, weights_.size()));
}

void ModelQuantizer::sort_hidden() {
  for (size_t up = 0; up < weights_.size(); ++up) {
    const ParamPlace& place = weights_[up].spec.place;
    if (place.role != ParamRole::kUp || !terms_[up]) continue;
    const size_t down = find_place({.role = ParamRole::kDown, .layer = place.layer});
    const size_t gate = find_place({.role = ParamRole::kGate, .layer = place.layer});
    if (down == weights_.size() || !terms_[down]) continue;
    const std::vector<int32_t> order = order_hidden(*terms_[up]);
    permute_rows(order, weights_[up], *terms_[up]);
    if (gate < weights_.size()) permute_rows(order, weights_[gate], terms_[gate].value());
    permute_columns(order, weights_[down], *terms_[down]);
  }
}

size_t ModelQuantizer::find_place(const ParamPlace& place) const {
  const auto is_there = [&](const HostTensor& tensor) { return tensor.spec.place == place; };
  return static_cast<size_t>(std::ranges::find_if(weights_, is_there) - weights_.begin());
}

// Matrices with the same input have the same Hessian, and it is factored once.
std::shared_ptr<const GptqFactor> ModelQuantizer::share_factor(size_t tensor) {
  if (!terms_[tensor]) return nullptr;
  const std::vector<float>& hessian = terms_[tensor]->hessian;
  for (const auto& [other, factor] : factors_) {
    if (terms_[other]->hessian == hessian) return factor;
  }
  auto factor = std::make_shared<const GptqFactor>(
      factor_hessian(hessian, weights_[tensor].spec.cols, quant_.damping));
  factors_.emplace_back(tensor, factor);
  return factor;
}

std::vector<int> ModelQuantizer::list_bit_changes() const {
  if (const char* problem = find_gradient_bits_problem(quant_)) throw Error(problem);
  if (!quant_.gradient_bits) return std::vector<int>(weights_.size(), 0);
  if (std::ranges::none_of(terms_, [](const auto& term) { return term.has_value(); })) {
    throw Error("quant.gradient_bits needs calibration; give training text, or set it to false");
  }
  return rank_by_gradient(weights_, terms_);
}

void ModelQuantizer::make_quantizers() {
  const std::vector<int> bit_changes = list_bit_changes();
  quantizers_.resize(weights_.size());
  const bool needs_factor =
      quant_.rounding == Rounding::kGptq || quant_.scales == ScaleRule::kSensitivity;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (storage_bits(weights_[i].spec, quant_) == kHalfBits) {
      model_.tensors[i] = keep_halves(weights_[i]);
      continue;
    }
    report("quantise: factors", i);
    quantizers_[i].emplace(weights_[i], quant_, terms_[i] ? &*terms_[i] : nullptr,
                           needs_factor ? share_factor(i) : nullptr, bit_changes[i]);
  }
  if (quant_.awq_group) choose_fine_columns();
}

// AWQ-lite: the one best group over all matrices.
void ModelQuantizer::choose_fine_columns() {
  size_t best_tensor = weights_.size();
  SalientColumns best;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!quantizers_[i] || !terms_[i]) continue;
    const ParamSpec& spec = weights_[i].spec;
    const SalientColumns group = find_salient_columns(weights_[i].values, spec.rows, spec.cols,
                                                      hessian_diagonal(*terms_[i], spec.cols));
    if (best_tensor == weights_.size() || group.score > best.score) {
      best = group;
      best_tensor = i;
    }
  }
  if (best_tensor < weights_.size()) {
    quantizers_[best_tensor]->set_fine_columns(
        best.first_column,
        std::min(kSalientColumns, weights_[best_tensor].spec.cols - best.first_column));
  }
}

void ModelQuantizer::quantize_at(double coarseness) {
  ++tries_;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!quantizers_[i]) continue;
    report(fmt::format("quantise: try {}", tries_), i);
    QuantizedMatrix matrix = quantizers_[i]->quantize(coarseness_of(i, coarseness));
    model_.tensors[i] = std::move(matrix.tensor);
    losses_[i] = matrix.loss_nats;
  }
  if (quant_.lqer_rank > 0) correct_low_rank();
}

double ModelQuantizer::price(const QuantTensor& tensor) const {
  const CodeShape shape{tensor.rows, tensor.cols, max_code(tensor.bits)};
  const std::span<const int8_t> codes = tensor.codes;
  return price_codes({&shape, 1}, {&codes, 1}, std::array{0});
}

double ModelQuantizer::estimate_bytes(double coarseness) const {
  double bytes = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!quantizers_[i]) {
      bytes += 1.8 * static_cast<double>(weights_[i].spec.elements());
      continue;
    }
    QuantTensor tensor = quantizers_[i]->quantize_nearest(coarseness_of(i, coarseness));
    bytes += price(tensor) + static_cast<double>(tensor.rows);
  }
  return bytes;
}

// Moves scales between matrices until a byte more lowers the loss as much everywhere: the exact
// theory holds for fine scales; here it is measured, on the coder and on the real rounding.
void ModelQuantizer::even_out_rates(double coarseness) {
  constexpr double kProbe = 1.189207115002721;  // a quarter octave either way
  constexpr int kRounds = 2;
  constexpr double kMaxMove = 2.0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> rates(weights_.size(), 0.0);
    double total_loss = 0, total_bytes = 0;
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (!quantizers_[i]) continue;
      report("quantise: bytes against loss", i);
      const QuantizedMatrix fine = quantizers_[i]->quantize(coarseness * multipliers_[i] / kProbe);
      const QuantizedMatrix coarse =
          quantizers_[i]->quantize(coarseness * multipliers_[i] * kProbe);
      const double loss = coarse.loss_nats - fine.loss_nats;
      const double bytes = price(fine.tensor) - price(coarse.tensor);
      if (loss <= 0 || bytes <= 0) continue;
      rates[i] = loss / bytes;
      total_loss += loss;
      total_bytes += bytes;
    }
    if (total_bytes <= 0) return;
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (rates[i] <= 0) continue;
      const double move = std::sqrt(total_loss / total_bytes / rates[i]);
      multipliers_[i] *= std::clamp(move, 1 / kMaxMove, kMaxMove);
    }
  }
}

int64_t ModelQuantizer::measure_bytes() const {
  if (progress_ && model_.coder != Coder::kOwn) {
    progress_(fmt::format("quantise: try {}, pack: {}", tries_, choice_name(model_.coder)));
  }
  return static_cast<int64_t>(encode_artifact(model_).size());
}

FillTask ModelQuantizer::make_fill_task() {
  FillTask task;
  task.estimate = [this](double coarseness) { return estimate_bytes(coarseness); };
  task.measure = [this](double coarseness) {
    quantize_at(coarseness);
    return measure_bytes();
  };
  task.limit_bytes = quant_.cap_bytes - code_bytes_.of(model_.coder);
  if (model_.coder != Coder::kOwn) {
    task.slack_bytes = std::max(kFillSlackBytes, task.limit_bytes / kPackedSlackShare);
    task.most_measurements = kMostPackings;
  }
  task.least_coarseness = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!quantizers_[i]) continue;
    task.elements += static_cast<double>(weights_[i].spec.elements());
    task.least_coarseness =
        std::min(task.least_coarseness, quantizers_[i]->least_coarseness() / multipliers_[i]);
  }
  return task;
}

// By the scales that our coder would about fill the cap with, rounded to the nearest.
Coder ModelQuantizer::choose_coder() {
  if (quant_.coder != CoderChoice::kAuto) return static_cast<Coder>(quant_.coder);
  if (!quant_.fill_cap) return Coder::kOwn;  // seal() compares them, and nothing here depends on it
  const double coarseness = guess_coarseness(make_fill_task());
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!quantizers_[i]) continue;
    model_.tensors[i] = quantizers_[i]->quantize_nearest(coarseness_of(i, coarseness));
  }
  return find_smallest(compare_coders(model_, code_bytes_, progress_));
}

void ModelQuantizer::correct_low_rank() {
  std::vector<std::pair<double, size_t>> by_error;  // largest first, ties by position
  std::vector<std::vector<float>> errors(weights_.size());
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!quantizers_[i]) continue;
    errors[i] = dequantize(model_.tensors[i], weights_[i].spec).values;
    double squares = 0;
    for (size_t j = 0; j < errors[i].size(); ++j) {
      errors[i][j] = weights_[i].values[j] - errors[i][j];
      squares += static_cast<double>(errors[i][j]) * static_cast<double>(errors[i][j]);
    }
    by_error.emplace_back(-squares, i);
  }
  std::sort(by_error.begin(), by_error.end());
  const auto count = std::min(by_error.size(), static_cast<size_t>(quant_.lqer_tensors));
  for (size_t k = 0; k < count; ++k) {
    const size_t i = by_error[k].second;
    const ParamSpec& spec = weights_[i].spec;
    model_.tensors[i].low_rank = fit_low_rank(
        errors[i], spec.rows, spec.cols,
        {.rank = static_cast<int>(quant_.lqer_rank), .group = static_cast<int>(quant_.lqer_group)});
  }
}

std::vector<TensorAllocation> ModelQuantizer::list_allocation(double coarseness) {
  std::vector<TensorAllocation> allocation;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const QuantTensor& tensor = model_.tensors[i];
    TensorAllocation& row = allocation.emplace_back();
    row.name = tensor.name;
    row.elements = weights_[i].spec.elements();
    row.bits = tensor.bits;
    if (!quantizers_[i]) {
      row.bytes = 2.0 * static_cast<double>(row.elements);
      continue;
    }
    row.scale = mean_scale(tensor);
    row.bytes = price(tensor);
    row.loss_nats = losses_[i];
    row.coarseness = coarseness_of(i, coarseness);
  }
  return allocation;
}

QuantResult ModelQuantizer::run() {
  double coarseness = 1.0;
  model_.coder = choose_coder();
  if (quant_.fill_cap) {
    coarseness = fill_cap(make_fill_task());
    if (quant_.scales == ScaleRule::kSensitivity) {
      even_out_rates(coarseness);
      coarseness = fill_cap(make_fill_task());
    }
  } else {
    quantize_at(coarseness);
  }
  QuantResult result{
      .model = {}, .allocation = list_allocation(coarseness), .coarseness = coarseness};
  result.model = std::move(model_);
  return result;
}

}  // namespace

QuantResult quantize(const QuantInput& input, const QuantConfig& quant,
                     const CodeSizes& code_bytes) {
  return ModelQuantizer(input, quant, code_bytes).run();
}

}  // namespace pg
