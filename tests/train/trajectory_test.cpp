// Steps of Muon and AdamW against the fp64 reference's from the same weights on the same text: on the
// CPU and by the GPU's kernels, in single precision and in bf16; and the bits of the CPU's exact
// arithmetic, which are the same on every processor.
#include "tests/train/trajectory.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/hash.h"
#include "src/device/registry/make_device.h"
#include "tests/model/model_fixture.h"
#include "tests/ops/tolerance.h"

namespace pg {
namespace {

Trajectory take_steps(const char* device_name, const TrajectorySetup& setup) {
  const auto device = make_device(device_name);
  return take_steps(*device, setup);
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
  const auto start = take_steps("reference:f64", {.model = config, .steps = 0}).weights;
  const auto exact = take_steps("reference:f64", {.model = config}).weights;
  const auto rounded = take_steps("reference", {.model = config}).weights;
  const auto cpu = take_steps("cpu:exact", {.model = config}).weights;
  for (const bool of_muon : {true, false}) {
    const double moved = distance(exact, start, of_muon);
    const double bound = optest::sum_units(config.vocab_size) * distance(rounded, exact, of_muon);
    EXPECT_LE(distance(cpu, exact, of_muon), bound) << (of_muon ? "Muon" : "AdamW");
    EXPECT_LE(bound, 0.01 * moved) << "too loose to mean anything";
  }
}

TEST(Trajectory, TwentyStepsOfEveryDeviceAreTheReferences) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const RichTrajectory rich(compute);
    EXPECT_LT(rich.bound_nats(), rich.stray_of_rest_nats()) << "too loose to mean anything";
    const bool is_f32 = compute == DType::kF32;
    EXPECT_LE(rich.bound_nats(), is_f32 ? 1e-3 : 1) << "too loose to mean anything";
    for (const char* name : {is_f32 ? "cpu:exact" : "cpu:bf16", is_f32 ? "simt:f32" : "simt"}) {
      const auto device = make_device(name);
      EXPECT_LE(rich.stray_nats(*device), rich.bound_nats()) << name;
    }
  }
}

// Momentum warms up over the steps, so that numbers of a step that were kept from another would show.
// The first two of twenty steps are given; from then on the plan, AdamW and each bank are repeated.
TEST(Trajectory, RepeatedWorkOfTheKernelsHasTheBitsOfWorkThatIsGiven) {
  const auto device = make_device("simt");
  const RichTrajectory::Repeats repeats = RichTrajectory(DType::kBF16).compare_repeats(*device);
  EXPECT_TRUE(repeats.have_same_bits);
  EXPECT_GT(repeats.count, 18 * 2);
}

// As every op has (tests/ops/exact_ops_test.cpp), and initialisation, schedules and tables.
TEST(Trajectory, TwelveStepsEndWithTheSameBitsOnEveryProcessor) {
  std::vector<uint8_t> bytes;
  for (const HostTensor& tensor :
       take_steps("cpu:exact", {.model = make_small_config(), .perturbation = 0}).weights) {
    const auto* const values = reinterpret_cast<const uint8_t*>(tensor.values.data());
    bytes.insert(bytes.end(), values, values + tensor.values.size() * sizeof tensor.values[0]);
  }
  EXPECT_EQ(hex(sha256(bytes)), "b306d92843add53ba0fa1e6c97f8134f461726a06c59ec863bac410ca8ecaa4d");
}

}  // namespace
}  // namespace pg
