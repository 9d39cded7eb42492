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
constexpr NewtonSchulzCoefficients kStock = {3.4445f, -4.7750f, 2.0315f};

// Polar Express: the minimax polynomial of each iteration (Amsel et al. 2025;
// formulas.md 3.1).
constexpr NewtonSchulzCoefficients kPolarExpress[5] = {
    {8.156554524902461f, -22.48329292557795f, 15.878769915207462f},
    {4.042929935166739f, -2.808917465908714f, 0.5000178451051316f},
    {3.8916678022926607f, -2.772484153217685f, 0.5060648178503393f},
    {3.285753657755655f, -2.3681294933425376f, 0.46449024233003106f},
    {2.3465413258596377f, -1.7097828382687081f, 0.42323551169305323f}};

// Converges slowly and fully (Aurora's polar factor).
constexpr NewtonSchulzCoefficients kQuintic = {2.0f, -1.5f, 0.5f};

// Of Turbo-Muon, whose last steps are taken: four after almost-orthogonal scaling (Boissin et al.
// 2025, flash-newton-schulz).
constexpr NewtonSchulzCoefficients kTurbo[5] = {{4.0848f, -6.8946f, 2.9270f},
                                                {3.9505f, -6.3029f, 2.6377f},
                                                {3.7418f, -5.5913f, 2.3037f},
                                                {2.8769f, -3.1427f, 1.2046f},
                                                {2.8366f, -3.0525f, 1.2012f}};

std::vector<NewtonSchulzCoefficients> list_iterations(const OptimizerConfig& config) {
  const auto steps = static_cast<size_t>(config.newton_schulz_steps);
  switch (config.newton_schulz) {
    case NewtonSchulz::kPolarExpress:
      return {std::begin(kPolarExpress), std::begin(kPolarExpress) + steps};
    case NewtonSchulz::kTurbo:
      return {std::end(kTurbo) - steps, std::end(kTurbo)};
    case NewtonSchulz::kQuintic:
      return std::vector(steps, kQuintic);
    case NewtonSchulz::kStock:
      break;
  }
  return std::vector(steps, kStock);
}

In read(const float* p) { return {p, DType::kF32}; }
Out write(float* p) { return {p, DType::kF32}; }

// Places in the block of scalars: four AdamW steps, the momentum, NorMuon's beta2, then (decay, step)
// of each of the rank's batches of matrices.
constexpr size_t kEmbeddingStep = 0;
constexpr size_t kSmallStep = kEmbeddingStep + kAdamWScalars;
constexpr size_t kHeadStep = kSmallStep + kAdamWScalars;
constexpr size_t kMemoryStep = kHeadStep + kAdamWScalars;
constexpr size_t kMomentum = kMemoryStep + kAdamWScalars;
constexpr size_t kNeuronBeta2 = kMomentum + 1;
constexpr size_t kMuonSteps = kNeuronBeta2 + 1;

constexpr float kNorMuonRms = 0.2f;  // of the paper's update

struct AdamWKeys {
  double lr, beta1, beta2, weight_decay;
};

AdamWKeys embedding_keys(const OptimizerConfig& c) {
  const auto own_or = [](double own, double adam) { return own == kAsAdam ? adam : own; };
  return {c.embed_lr, own_or(c.embed_beta1, c.adam_beta1), own_or(c.embed_beta2, c.adam_beta2),
          own_or(c.embed_weight_decay, c.adam_weight_decay)};
}

AdamWKeys scalar_keys(const OptimizerConfig& c) {
  return {c.scalar_lr, c.adam_beta1, c.adam_beta2, c.adam_weight_decay};
}

AdamWKeys head_keys(const OptimizerConfig& c) {
  return {c.head_lr, c.adam_beta1, c.adam_beta2, c.adam_weight_decay};
}

// The norm takes a memory's scale away, so that decay would only make its steps larger.
AdamWKeys memory_keys(const OptimizerConfig& c) {
  AdamWKeys keys = scalar_keys(c);
  keys.weight_decay = 0;
  return keys;
}

size_t place_of_step(ParamGroup group) {
  if (group == ParamGroup::kHead) return kHeadStep;
  if (group == ParamGroup::kMemory) return kMemoryStep;
  return group == ParamGroup::kEmbedding ? kEmbeddingStep : kSmallStep;
}

AdamWStep make_adamw_step(const AdamWKeys& keys, double epsilon, double lr_multiplier,
                          int64_t steps_done) {
  const double step = static_cast<double>(steps_done + 1);
  return {static_cast<float>(keys.lr * lr_multiplier),
          static_cast<float>(keys.beta1),
          static_cast<float>(keys.beta2),
          static_cast<float>(epsilon),
          static_cast<float>(keys.weight_decay),
          static_cast<float>(1.0 - pow_f64(keys.beta1, step)),
          static_cast<float>(1.0 - pow_f64(keys.beta2, step))};
}

void put(std::vector<float>& scalars, size_t place, const AdamWStep& step) {
  const auto values = std::bit_cast<std::array<float, kAdamWScalars>>(step);
  std::copy(values.begin(), values.end(), scalars.begin() + static_cast<int64_t>(place));
}

}  // namespace

Optimizer::Optimizer(Weights& weights, const OptimizerConfig& config, int rank, int ranks)
    : weights_(&weights),
      config_(config),
      iterations_(list_iterations(config)),
      rank_(rank),
      work_(divide_work(weights, ranks)) {
  PG_CHECK(weights.gradients() != nullptr, "an optimizer needs gradients");
  Device& device = weights.device();
  const int64_t flat = weights.flat_elements(), matrices = weights.layout().matrix_elements();
  first_ = DeviceBuffer(device, static_cast<size_t>(flat) * sizeof(float));
  second_ = DeviceBuffer(device, static_cast<size_t>(flat - matrices) * sizeof(float));
  update_ = DeviceBuffer(device, static_cast<size_t>(work_.update_elements) * sizeof(float));
  list_equal_matrices();
  if (config.normuon != NorMuon::kOff) {
    neuron_moments_ = DeviceBuffer(device, static_cast<size_t>(work_.neurons) * sizeof(float));
  }
  sums_ = DeviceBuffer(device, static_cast<size_t>(work_.sums) * sizeof(double));
  squares_ = DeviceBuffer(device, sizeof(double));
  coefficient_ = DeviceBuffer(device, sizeof(float));
  host_scalars_.resize(kMuonSteps + 2 * own_work().muon.size());
  scalars_ = DeviceBuffer(device, host_scalars_.size() * sizeof(float));
  kept_muon_.resize(static_cast<size_t>(work_.banks));
}

void Optimizer::list_equal_matrices() {
  const std::vector<MuonWork>& muon = own_work().muon;
  for (size_t i = 0; i < muon.size(); ++i) {
    const auto is_equal = [&](const EqualMatrices& equal) {
      const MuonWork& first = muon[equal.works.front()];
      return equal.bank == muon[i].bank && first.shape.rows == muon[i].shape.rows &&
             first.shape.cols == muon[i].shape.cols;
    };
    const auto found = std::find_if(equal_matrices_.begin(), equal_matrices_.end(), is_equal);
    EqualMatrices& equal = found != equal_matrices_.end() ? *found : equal_matrices_.emplace_back();
    equal.bank = muon[i].bank;
    equal.works.push_back(i);
  }
  int64_t neurons = 0;
  for (const EqualMatrices& equal : equal_matrices_) {
    int64_t of_equal = 0;
    for (const size_t i : equal.works) {
      const MatrixBatch& shape = muon[i].shape;
      if (is_balanced(shape)) of_equal += shape.count * std::max(shape.rows, shape.cols);
    }
    neurons = std::max(neurons, of_equal);
  }
  if (neurons > 0) {
    polar_ = DeviceBuffer(weights_->device(), update_.bytes());
    balance_ = DeviceBuffer(weights_->device(), static_cast<size_t>(neurons) * sizeof(float));
  }
  for (EqualMatrices& equal : equal_matrices_) {
    for (const size_t i : equal.works) {
      const MuonWork& work = muon[i];
      equal.updates.push_back({at(is_balanced(work.shape) ? polar_ : update_, work), work.shape});
    }
  }
}

void Optimizer::step(int64_t steps_done, double lr_multiplier, double decay_multiplier) {
  sum_squares();
  begin_step(steps_done, lr_multiplier, decay_multiplier);
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

void Optimizer::forget() {
  for (DeviceBuffer* state : {&first_, &second_, &neuron_moments_}) {
    const std::vector<uint8_t> zeros(state->bytes());
    if (!zeros.empty()) weights_->device().upload(state->data(), zeros.data(), zeros.size());
  }
}

void Optimizer::begin_step(int64_t steps_done, double lr_multiplier, double decay_multiplier) {
  const auto put_adamw = [&](size_t place, const AdamWKeys& keys) {
    put(host_scalars_, place,
        make_adamw_step(keys, config_.adam_epsilon, lr_multiplier, steps_done));
  };
  put_adamw(kEmbeddingStep, embedding_keys(config_));
  put_adamw(kSmallStep, scalar_keys(config_));
  put_adamw(kHeadStep, head_keys(config_));
  put_adamw(kMemoryStep, memory_keys(config_));
  host_scalars_[kMomentum] = static_cast<float>(muon_momentum(config_, steps_done));
  host_scalars_[kNeuronBeta2] = static_cast<float>(config_.normuon_beta2);
  const double lr = config_.matrix_lr * lr_multiplier;
  const double weight_decay = config_.muon_weight_decay * decay_multiplier;
  for (size_t i = 0; i < own_work().muon.size(); ++i) {
    const MatrixBatch& shape = own_work().muon[i].shape;
    // The paper's NorMuon has a size of its own.
    const double shape_scale = config_.normuon == NorMuon::kPaper
                                   ? 1.0
                                   : std::sqrt(std::max(1.0, static_cast<double>(shape.rows) /
                                                                 static_cast<double>(shape.cols)));
    host_scalars_[kMuonSteps + 2 * i] = static_cast<float>(1.0 - lr * weight_decay);
    host_scalars_[kMuonSteps + 2 * i + 1] = static_cast<float>(lr * shape_scale);
  }
  Device& device = weights_->device();
  device.upload(scalars_.data(), host_scalars_.data(), host_scalars_.size() * sizeof(float));
  device.ops().sum_pieces({squares_.data(), DType::kF64}, {sums_.data(), DType::kF64}, work_.sums);
  device.ops().clip_coefficient(write(coefficient_.as<float>()), {squares_.data(), DType::kF64},
                                static_cast<float>(config_.grad_clip_norm));
}

void Optimizer::step_adamw() {
  for (Repetition run(weights_->device(), kept_adamw_); run.is_due();) give_adamw();
}

void Optimizer::give_adamw() {
  for (const AdamWWork& work : own_work().adamw) {
    weights_->device().ops().adamw(
        write(weights_->masters() + work.offset), write(first_moments() + work.offset),
        write(second_moments() + (work.offset - weights_->layout().matrix_elements())),
        read(weights_->gradients() + work.offset), read(coefficient_.as<float>()),
        scalars_at(place_of_step(work.group)), config_.cautious_weight_decay, work.elements);
  }
}

void Optimizer::step_muon(int bank) {
  std::unique_ptr<KeptWork>& kept = kept_muon_[static_cast<size_t>(bank)];
  for (Repetition run(weights_->device(), kept); run.is_due();) {
    for (const EqualMatrices& matrices : equal_matrices_) {
      if (matrices.bank == bank) give_muon(matrices);
    }
  }
}

void Optimizer::give_muon(const EqualMatrices& matrices) {
  Ops& ops = weights_->device().ops();
  for (const size_t i : matrices.works) {
    const MuonWork& work = own_work().muon[i];
    ops.muon_momentum(at(update_, work), write(first_moments() + work.offset),
                      read(weights_->gradients() + work.offset), read(coefficient_.as<float>()),
                      scalars_at(kMomentum), config_.muon_row_norm, work.shape);
  }
  orthogonalise(matrices);
  for (size_t k = 0; k < matrices.works.size(); ++k) {
    const size_t i = matrices.works[k];
    const MuonWork& work = own_work().muon[i];
    const Out update = matrices.updates[k].data;
    if (config_.normuon != NorMuon::kOff) normalise_neurons(update, work);
    ops.apply_update(write(weights_->masters() + work.offset), read(update.as<float>()),
                     read(coefficient_.as<float>()), scalars_at(kMuonSteps + 2 * i),
                     config_.cautious_weight_decay, work.shape);
  }
}

bool Optimizer::is_balanced(const MatrixBatch& shape) const {
  return config_.aurora_iterations > 0 && shape.rows != shape.cols;
}

// Of update_. Aurora (arXiv 2606.27715, as released) looks for the matrix whose rows on the longer
// side all have the norm that those of an orthogonal one have on the average: with X the update and
// D its rows' norms' inverses, O = polar(D X), then D_i <- D_i ((m/n) / |O_i|^2)^beta, and anew. Its
// momentum is Muon's up to a factor, which polar() drops.
void Optimizer::orthogonalise(const EqualMatrices& matrices) {
  Ops& ops = weights_->device().ops();
  const auto start = config_.newton_schulz_scaling == NewtonSchulzScaling::kAol
                         ? NewtonSchulzStart::kAol
                         : NewtonSchulzStart::kNorm;
  if (!is_balanced(matrices.updates.front().shape)) {
    ops.newton_schulz_of_batches(matrices.updates, iterations_, start);
    return;
  }
  for (int64_t k = 0; k < config_.aurora_iterations; ++k) {
    float* balance = balance_.as<float>();
    for (size_t j = 0; j < matrices.works.size(); ++j) {
      const auto& [polar, shape] = matrices.updates[j];
      const Out update = at(update_, own_work().muon[matrices.works[j]]);
      ops.balance_neurons(polar, write(balance), read(update.as<float>()),
                          static_cast<float>(config_.aurora_beta), /*is_first=*/k == 0, shape);
      balance += shape.count * std::max(shape.rows, shape.cols);
    }
    ops.newton_schulz_of_batches(matrices.updates, iterations_, start);
  }
}

// NorMuon (Li et al. 2025, arXiv 2510.05491), by rows to a fixed size; or modded-nanogpt's, by the
// vectors of the longer side, whose size stays that of the orthogonal factor.
void Optimizer::normalise_neurons(Out update, const MuonWork& work) {
  const bool is_paper = config_.normuon == NorMuon::kPaper;
  const bool columns = !is_paper && work.shape.cols > work.shape.rows;
  weights_->device().ops().normuon(update, write(neuron_moments() + work.first_neuron),
                                   read(coefficient_.as<float>()), scalars_at(kNeuronBeta2),
                                   columns, is_paper ? kNorMuonRms : 0.0f, work.shape,
                                   work.neurons_stride);
}

int64_t Optimizer::ops_per_step() const {
  const auto adamw = std::ssize(own_work().adamw);
  int64_t muon = 0;
  for (const EqualMatrices& matrices : equal_matrices_) {
    const int64_t works = std::ssize(matrices.works);
    // Muon's momentum and the update, NorMuon; the orthogonal factor of all.
    muon += works * (2 + (config_.normuon != NorMuon::kOff ? 1 : 0));
    const bool balanced = is_balanced(matrices.updates.front().shape);
    muon += balanced ? config_.aurora_iterations * (works + 1) : 1;
  }
  // A sum of squares each; AdamW is one op; the norm and the coefficient.
  return 2 * adamw + muon + std::ssize(own_work().muon) + 2 + weights_->refresh_ops();
}

double Optimizer::flops_per_step() const {
  double flops = 0;
  for (const MuonWork& work : own_work().muon) {
    const MatrixBatch& shape = work.shape;
    const int64_t times = is_balanced(shape) ? config_.aurora_iterations : 1;
    flops += static_cast<double>(times * shape.count * newton_schulz_flops(shape.rows, shape.cols));
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
