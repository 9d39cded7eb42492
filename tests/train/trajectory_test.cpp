// Twelve steps of Muon and AdamW on the CPU, in single precision, against the fp64 reference's from
// the same weights on the same text; and their bits, which are the same on every processor.
#include <gtest/gtest.h>

#include <cmath>

#include "src/base/hash.h"
#include "src/device/registry/make_device.h"
#include "src/train/optimizer.h"
#include "tests/model/model_fixture.h"
#include "tests/ops/tolerance.h"

namespace pg {
namespace {

constexpr int64_t kSteps = 12, kBatch = 2, kTokens = 12;

std::vector<HostTensor> take_steps(const char* device_name, const ModelConfig& config,
                                   int64_t steps, double perturbation = 0.1) {
  const auto device = make_device(device_name);
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  weights.initialise(1);
  if (perturbation > 0) perturb(weights, perturbation, 11);
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  Optimizer optimizer(weights, OptimizerConfig{});
  for (int64_t step = 0; step < steps; ++step) {
    const auto seed = static_cast<uint64_t>(2 * step);
    plan.load(make_ids(kBatch * kTokens, config.vocab_size, seed),
              make_ids(kBatch * kTokens, config.vocab_size, seed + 1));
    plan.run();
    weights.finish_gradients();
    optimizer.step(step, 1.0);
  }
  return weights.download();
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
  const auto start = take_steps("reference:f64", config, 0);
  const auto exact = take_steps("reference:f64", config, kSteps);
  const auto rounded = take_steps("reference", config, kSteps);
  const auto cpu = take_steps("cpu:exact", config, kSteps);
  for (const bool of_muon : {true, false}) {
    const double moved = distance(exact, start, of_muon);
    const double bound = optest::sum_units(config.vocab_size) * distance(rounded, exact, of_muon);
    EXPECT_LE(distance(cpu, exact, of_muon), bound) << (of_muon ? "Muon" : "AdamW");
    EXPECT_LE(bound, 0.01 * moved) << "too loose to mean anything";
  }
}

// As every op has (tests/ops/exact_ops_test.cpp), and initialisation, schedules and tables.
TEST(Trajectory, TwelveStepsEndWithTheSameBitsOnEveryProcessor) {
  std::vector<uint8_t> bytes;
  for (const HostTensor& tensor : take_steps("cpu:exact", make_small_config(), kSteps, 0.0)) {
    const auto* const values = reinterpret_cast<const uint8_t*>(tensor.values.data());
    bytes.insert(bytes.end(), values, values + tensor.values.size() * sizeof tensor.values[0]);
  }
  EXPECT_EQ(hex(sha256(bytes)), "b306d92843add53ba0fa1e6c97f8134f461726a06c59ec863bac410ca8ecaa4d");
}

}  // namespace
}  // namespace pg
