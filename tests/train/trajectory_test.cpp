// Steps of Muon and AdamW against the fp64 reference's from the same weights on the same text: on the
// CPU and by the GPU's kernels, in single precision and in bf16; and the bits of the CPU's exact
// arithmetic, which are the same on every processor.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/bf16.h"
#include "src/base/hash.h"
#include "src/device/registry/make_device.h"
#include "src/plan/plan.h"
#include "src/train/optimizer.h"
#include "tests/model/model_fixture.h"
#include "tests/ops/tolerance.h"

namespace pg {
namespace {

constexpr int64_t kSteps = 12, kBatch = 2, kTokens = 12;

struct Trajectory {
  std::vector<HostTensor> weights;
  std::vector<double> losses_nats;  // [steps]
};

void round_to_bf16(Weights& weights) {
  std::vector<HostTensor> tensors = weights.download();
  for (HostTensor& tensor : tensors) {
    for (float& value : tensor.values) value = static_cast<float>(bf16(value));
  }
  weights.upload(tensors);
}

Trajectory take_steps(const char* device_name, const ModelConfig& config, int64_t steps,
                      double perturbation = 0.1, const OptimizerConfig& optimizer_config = {},
                      bool rounds_start = false) {
  const auto device = make_device(device_name);
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  weights.initialise(1);
  if (perturbation > 0) perturb(weights, perturbation, 11);
  if (rounds_start) round_to_bf16(weights);
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  Optimizer optimizer(weights, optimizer_config);
  Trajectory result;
  for (int64_t step = 0; step < steps; ++step) {
    const auto seed = static_cast<uint64_t>(2 * step);
    plan.load(make_ids(kBatch * kTokens, config.vocab_size, seed),
              make_ids(kBatch * kTokens, config.vocab_size, seed + 1));
    plan.run();
    result.losses_nats.push_back(plan.mean_loss());
    weights.finish_gradients();
    optimizer.step(step, 1.0);
  }
  result.weights = weights.download();
  return result;
}

// The most that two runs' losses differ by in any step.
double loss_distance(const Trajectory& a, const Trajectory& b) {
  double most = 0;
  for (size_t i = 0; i < a.losses_nats.size(); ++i) {
    most = std::max(most, std::abs(a.losses_nats[i] - b.losses_nats[i]));
  }
  return most;
}

// Of the parameters that Muon trains, or of the others: the distance between two sets of weights.
double distance(const std::vector<HostTensor>& a, const std::vector<HostTensor>& b, bool of_muon) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if ((a[i].spec.group == ParamGroup::kMatrix) != of_muon) continue;
    for (size_t k = 0; k < a[i].values.size(); ++k) {
      squares +=
          std::pow(static_cast<double>(a[i].values[k]) - static_cast<double>(b[i].values[k]), 2);
    }
  }
  return std::sqrt(squares);
}

// How much a rounding grows over the steps, the reference in f32 storage shows: it rounds each
// result once. The CPU rounds every term of a sum too, so it may stray as much further as the
// longest sum of the model has units.
TEST(Trajectory, TwelveStepsOfTheCpuAreTheReferences) {
  const ModelConfig config = make_small_config();
  const auto start = take_steps("reference:f64", config, 0).weights;
  const auto exact = take_steps("reference:f64", config, kSteps).weights;
  const auto rounded = take_steps("reference", config, kSteps).weights;
  const auto cpu = take_steps("cpu:exact", config, kSteps).weights;
  for (const bool of_muon : {true, false}) {
    const double moved = distance(exact, start, of_muon);
    const double bound = optest::sum_units(config.vocab_size) * distance(rounded, exact, of_muon);
    EXPECT_LE(distance(cpu, exact, of_muon), bound) << (of_muon ? "Muon" : "AdamW");
    EXPECT_LE(bound, 0.01 * moved) << "too loose to mean anything";
  }
}

// The root mean square of two runs' differences.
double loss_deviation(const Trajectory& a, const Trajectory& b) {
  double squares = 0;
  for (size_t i = 0; i < a.losses_nats.size(); ++i) {
    squares += std::pow(a.losses_nats[i] - b.losses_nats[i], 2);
  }
  return std::sqrt(squares / static_cast<double>(a.losses_nats.size()));
}

// What can stand together of the keys of a model.
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

// In f32 the reference in f32 storage shows how much a rounding grows, as above. In bf16 the exact
// reference does, from weights that are rounded once: independent roundings of as many tensors as there
// are parameters. A device makes as many more as a step has calls, and those in every step anew; their
// variances add up. The root mean square over the steps counts, and a model that never steps must miss it.
TEST(Trajectory, TwentyStepsOfEveryDeviceAreTheReferences) {
  const ModelConfig config = make_rich_config();
  const OptimizerConfig optimizer = make_rich_optimizer();
  constexpr int64_t kManySteps = 20;
  const Trajectory exact = take_steps("reference:f64", config, kManySteps, 0.1, optimizer);
  const Trajectory rounded = take_steps("reference", config, kManySteps, 0.1, optimizer);
  const double stray = loss_distance(rounded, exact);
  ASSERT_GT(stray, 0);
  const double f32_bound = optest::sum_units(config.vocab_size) * stray;
  EXPECT_LE(f32_bound, 1e-3) << "too loose to mean anything";
  for (const char* name : {"cpu:exact", "simt:f32"}) {
    EXPECT_LE(loss_distance(take_steps(name, config, kManySteps, 0.1, optimizer), exact), f32_bound)
        << name;
  }
  const Trajectory rounded_once =
      take_steps("reference:f64", config, kManySteps, 0.1, optimizer, /*rounds_start=*/true);
  const auto device = make_device("cpu:bf16");
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  const ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  const auto roundings = static_cast<double>(plan.plan().call_count() + weights.count());
  const double bf16_bound =
      loss_deviation(rounded_once, exact) *
      std::sqrt(static_cast<double>(kManySteps) * roundings / static_cast<double>(weights.count()));
  OptimizerConfig at_rest = optimizer;
  at_rest.matrix_lr = at_rest.embed_lr = at_rest.scalar_lr = at_rest.head_lr = 0;
  const Trajectory untrained = take_steps("reference:f64", config, kManySteps, 0.1, at_rest);
  EXPECT_LT(bf16_bound, loss_deviation(untrained, exact)) << "too loose to mean anything";
  for (const char* name : {"cpu:bf16", "simt"}) {
    const Trajectory got = take_steps(name, config, kManySteps, 0.1, optimizer);
    EXPECT_LE(loss_deviation(got, exact), bf16_bound) << name;
  }
}

// As every op has (tests/ops/exact_ops_test.cpp), and initialisation, schedules and tables.
TEST(Trajectory, TwelveStepsEndWithTheSameBitsOnEveryProcessor) {
  std::vector<uint8_t> bytes;
  for (const HostTensor& tensor :
       take_steps("cpu:exact", make_small_config(), kSteps, 0.0).weights) {
    const auto* const values = reinterpret_cast<const uint8_t*>(tensor.values.data());
    bytes.insert(bytes.end(), values, values + tensor.values.size() * sizeof tensor.values[0]);
  }
  EXPECT_EQ(hex(sha256(bytes)), "b306d92843add53ba0fa1e6c97f8134f461726a06c59ec863bac410ca8ecaa4d");
}

}  // namespace
}  // namespace pg
