#include "tests/train/trajectory.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/bf16.h"
#include "src/base/check.h"
#include "src/device/registry/make_device.h"
#include "src/plan/plan.h"
#include "tests/model/model_fixture.h"
#include "tests/ops/tolerance.h"
#include "tests/train/repeating_device.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 12, kManySteps = 20;

void round_to_bf16(Weights& weights) {
  std::vector<HostTensor> tensors = weights.download();
  for (HostTensor& tensor : tensors) {
    for (float& value : tensor.values) value = static_cast<float>(bf16(value));
  }
  weights.upload(tensors);
}

// The root mean square of two runs' differences.
double loss_deviation(const Trajectory& a, const Trajectory& b) {
  double squares = 0;
  for (size_t i = 0; i < a.losses_nats.size(); ++i) {
    squares += std::pow(a.losses_nats[i] - b.losses_nats[i], 2);
  }
  return std::sqrt(squares / static_cast<double>(a.losses_nats.size()));
}

// What can stand together of the keys of a model. Mixes of layers (model.mudd_at) let a rounding grow
// so much over twenty steps that the bound would mean nothing; their op is compared by itself.
ModelConfig make_rich_config() {
  ModelConfig config = make_small_config();
  config.layers = 6;
  config.mlp = Mlp::kSwiglu;
  config.norm_gains = true;
  config.smear_gate = false;
  config.token_smear = true;
  config.skip_gates = true;
  config.value_residual = ValueResidual::kSigmoid;
  config.tied_head = false;
  config.trigram = true;
  config.memory_tokens = 2;
  config.loop_first = 1;
  config.loop_last = 2;
  config.loop_passes = 2;
  config.attention_gate = AttentionGate::kGated;
  return config;
}

OptimizerConfig make_rich_optimizer() {
  OptimizerConfig optimizer;
  optimizer.muon_row_norm = true;
  optimizer.normuon = NorMuon::kModded;
  optimizer.cautious_weight_decay = true;
  optimizer.grad_clip_norm = 0.3;
  optimizer.muon_momentum_warmup_steps = 10;
  return optimizer;
}

Trajectory take_reference_steps(const char* reference, const TrajectorySetup& setup) {
  const auto device = make_device(reference);
  return take_steps(*device, setup);
}

// Calls of a step's plan; those of every device are as many.
int64_t count_calls(const ModelConfig& config) {
  const auto device = make_device("reference");
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  return ModelPlan(config, weights, kBatch, kTokens, PlanMode::kTrain).plan().call_count();
}

}  // namespace

Trajectory take_steps(Device& device, const TrajectorySetup& setup) {
  Weights weights(device, list_params(setup.model), /*with_gradients=*/true);
  weights.initialise(1);
  if (setup.perturbation > 0) perturb(weights, setup.perturbation, 11);
  if (setup.rounds_start) round_to_bf16(weights);
  ModelPlan plan(setup.model, weights, kBatch, kTokens, PlanMode::kTrain);
  Optimizer optimizer(weights, setup.optimizer);
  Trajectory result;
  for (int64_t step = 0; step < setup.steps; ++step) {
    const auto seed = static_cast<uint64_t>(2 * step);
    plan.load(make_ids(kBatch * kTokens, setup.model.vocab_size, seed),
              make_ids(kBatch * kTokens, setup.model.vocab_size, seed + 1));
    plan.run();
    result.losses_nats.push_back(plan.mean_loss());
    weights.finish_gradients();
    optimizer.step(step, 1.0);
  }
  result.weights = weights.download();
  return result;
}

double loss_distance(const Trajectory& a, const Trajectory& b) {
  double most = 0;
  for (size_t i = 0; i < a.losses_nats.size(); ++i) {
    most = std::max(most, std::abs(a.losses_nats[i] - b.losses_nats[i]));
  }
  return most;
}

RichTrajectory::RichTrajectory(DType compute)
    : compute_(compute),
      setup_{.model = make_rich_config(), .steps = kManySteps, .optimizer = make_rich_optimizer()},
      exact_(take_reference_steps("reference:f64", setup_)) {
  TrajectorySetup rounded = setup_;
  rounded.rounds_start = compute == DType::kBF16;
  const Trajectory shown =
      take_reference_steps(rounded.rounds_start ? "reference:f64" : "reference", rounded);
  bound_nats_ = compare(shown);
  PG_CHECK(bound_nats_ > 0, "roundings leave the losses as they are");
  if (compute == DType::kBF16) {
    const auto params = static_cast<double>(shown.weights.size());
    const double roundings = static_cast<double>(count_calls(setup_.model)) + params;
    bound_nats_ *= std::sqrt(static_cast<double>(kManySteps) * roundings / params);
  } else {
    bound_nats_ *= optest::sum_units(setup_.model.vocab_size);
  }
}

double RichTrajectory::compare(const Trajectory& got) const {
  return compute_ == DType::kBF16 ? loss_deviation(got, exact_) : loss_distance(got, exact_);
}

double RichTrajectory::stray_nats(Device& device) const {
  PG_CHECK(device.compute_dtype() == compute_, "the bound is of another type");
  return compare(take_steps(device, setup_));
}

RichTrajectory::Repeats RichTrajectory::compare_repeats(Device& device) const {
  RepeatingDevice giving(device, false), repeating(device, true);
  const Trajectory want = take_steps(giving, setup_), got = take_steps(repeating, setup_);
  bool have_same_bits = got.losses_nats == want.losses_nats;
  for (size_t i = 0; i < want.weights.size(); ++i) {
    have_same_bits &= got.weights[i].values == want.weights[i].values;
  }
  return {have_same_bits, repeating.repeated};
}

double RichTrajectory::stray_of_rest_nats() const {
  TrajectorySetup at_rest = setup_;
  OptimizerConfig& o = at_rest.optimizer;
  o.matrix_lr = o.embed_lr = o.scalar_lr = o.head_lr = 0;
  return compare(take_reference_steps("reference:f64", at_rest));
}

}  // namespace pg
