// Plans: the arena never changes a number, gradients add across micro-batches, a replay allocates
// nothing.
#include "src/plan/plan.h"

#include <gtest/gtest.h>

#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/model/model.h"
#include "tests/model/model_fixture.h"
#include "tests/plan/allocation_counter.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 12;

struct Net {
  ForwardTensors tensors;
  std::unique_ptr<Plan> plan;
};

Net make_net(const ModelConfig& config, Weights& weights, Plan::Memory memory,
             bool collects_grams = false) {
  Net net{{}, std::make_unique<Plan>(weights, memory)};
  if (collects_grams) net.plan->collect_grams();
  net.tensors = record_forward(*net.plan, config, kBatch, kTokens);
  net.plan->finish(net.tensors.loss);
  return net;
}

void load(Net& net, const ModelConfig& config, uint64_t seed) {
  net.plan->write_ids(net.tensors.ids, make_ids(kBatch * kTokens, config.vocab_size, seed));
  net.plan->write_ids(net.tensors.targets, make_ids(kBatch * kTokens, config.vocab_size, seed + 1));
}

std::vector<float> gradients(const Weights& weights) {
  return {weights.gradients(), weights.gradients() + weights.flat_elements()};
}

class PlanOnDevice : public testing::TestWithParam<const char*> {
 protected:
  PlanOnDevice()
      : device_(make_device(GetParam())),
        config_(make_small_config()),
        weights_(*device_, list_params(config_), true) {
    weights_.initialise(1);
    perturb(weights_, 0.1, 5);
  }
  std::unique_ptr<Device> device_;
  ModelConfig config_;
  Weights weights_;
};

INSTANTIATE_TEST_SUITE_P(Devices, PlanOnDevice,
                         testing::Values("reference", "reference:f64", "cpu:bf16", "cpu:exact"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name;
                         });

// Law L10.
TEST_P(PlanOnDevice, SharingMemoryNeverChangesANumber) {
  Net shared = make_net(config_, weights_, Plan::Memory::kShared);
  load(shared, config_, 3);
  shared.plan->run();
  const std::vector<float> a = gradients(weights_);
  Net separate = make_net(config_, weights_, Plan::Memory::kSeparate);
  load(separate, config_, 3);
  separate.plan->run();
  EXPECT_EQ(a, gradients(weights_));
  EXPECT_LT(shared.plan->arena_bytes(), separate.plan->arena_bytes());
  EXPECT_EQ(separate.plan->arena_bytes(), shared.plan->separate_bytes());
}

TEST_P(PlanOnDevice, GradientsAddAcrossMicroBatches) {
  Net net = make_net(config_, weights_, Plan::Memory::kShared);
  load(net, config_, 3);
  net.plan->run();
  const std::vector<float> first = gradients(weights_);
  load(net, config_, 7);
  net.plan->run();
  const std::vector<float> second = gradients(weights_);
  load(net, config_, 3);
  net.plan->run(false);
  load(net, config_, 7);
  net.plan->run(true);
  const std::vector<float> both = gradients(weights_);
  double error = 0, norm = 0;
  for (size_t i = 0; i < both.size(); ++i) {
    const double want = static_cast<double>(first[i]) + static_cast<double>(second[i]);
    error += std::pow(static_cast<double>(both[i]) - want, 2);
    norm += want * want;
  }
  // f32 accumulators: the only difference is where the sum is rounded.
  EXPECT_LT(std::sqrt(error / norm), 1e-6);
  EXPECT_GT(norm, 0);
}

TEST_P(PlanOnDevice, CollectingGramsChangesNoOtherNumber) {
  std::vector<float> losses[2], weight_gradients[2];
  int64_t steps[2];
  for (const bool collects : {false, true}) {
    Net net = make_net(config_, weights_, Plan::Memory::kShared, collects);
    load(net, config_, 3);
    net.plan->run();
    losses[collects].resize(kBatch * kTokens);
    net.plan->read(net.tensors.loss, 0, losses[collects]);
    weight_gradients[collects] = gradients(weights_);
    steps[collects] = net.plan->call_count();
    EXPECT_EQ(net.plan->weight_uses().empty(), !collects);
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(weight_gradients[0], weight_gradients[1]);
  EXPECT_GT(steps[1], steps[0]);
}

// Queries, keys and values of a block read one input: one gram serves the three.
TEST_P(PlanOnDevice, LinearMapsOfOneInputShareItsGram) {
  const Net net = make_net(config_, weights_, Plan::Memory::kShared, true);
  const auto gram_of = [&](const char* name) {
    for (const WeightUse& use : net.plan->weight_uses()) {
      if (use.weight == weights_.find(name)) return use.gram.id;
    }
    return -1;
  };
  EXPECT_GE(gram_of("blocks.1.attn.q"), 0);
  EXPECT_EQ(gram_of("blocks.1.attn.q"), gram_of("blocks.1.attn.k"));
  EXPECT_EQ(gram_of("blocks.1.attn.q"), gram_of("blocks.1.attn.v"));
  EXPECT_NE(gram_of("blocks.1.attn.q"), gram_of("blocks.1.attn.out"));
}

TEST_P(PlanOnDevice, LossScaleScalesTheGradient) {
  Net net = make_net(config_, weights_, Plan::Memory::kShared);
  load(net, config_, 3);
  net.plan->run();
  const std::vector<float> one = gradients(weights_);
  net.plan->set_loss_scale(0.5f);  // a power of two scales every rounding with it
  net.plan->run();
  const std::vector<float> half = gradients(weights_);
  for (size_t i = 0; i < one.size(); ++i) ASSERT_EQ(0.5f * one[i], half[i]) << i;
}

TEST_P(PlanOnDevice, ThreadCountNeverChangesANumber) {
  Net net = make_net(config_, weights_, Plan::Memory::kShared);
  load(net, config_, 3);
  const int threads = thread_count();
  set_thread_count(1);
  net.plan->run();
  const std::vector<float> one = gradients(weights_);
  for (const int n : {2, 3, 4}) {
    set_thread_count(n);
    net.plan->run();
    EXPECT_EQ(one, gradients(weights_)) << n << " threads";
  }
  set_thread_count(threads);
}

TEST_P(PlanOnDevice, ARepeatedStepAllocatesNothing) {
  if (std::string_view(GetParam()).starts_with("reference"))
    GTEST_SKIP() << "the specification may allocate";
  Net net = make_net(config_, weights_, Plan::Memory::kShared);
  load(net, config_, 3);
  // Threads take chunks dynamically: each needs a few steps to have met every shape and grown its
  // scratch.
  const int threads = thread_count();
  set_thread_count(1);
  net.plan->run();
  net.plan->run();
  EXPECT_EQ(count_allocations([&] { net.plan->run(); }), 0);
  set_thread_count(threads);
}

// A row at a time, and the reading of its distribution.
TEST_P(PlanOnDevice, ARowOfADecoderAllocatesNothing) {
  if (std::string_view(GetParam()).starts_with("reference"))
    GTEST_SKIP() << "the specification may allocate";
  ModelPlan plan(config_, weights_, 1, kTokens, PlanMode::kDecode, 4);
  const std::vector<int32_t> ids = make_ids(kTokens, config_.vocab_size, 3);
  std::vector<float> log_probs(static_cast<size_t>(config_.vocab_size)), entropy(1);
  const auto run_row = [&](int64_t position) {
    plan.load(ids, {});
    plan.run_rows(position, 1);
    plan.read_log_probs(position - (kTokens - 4), log_probs, entropy);
  };
  const int threads = thread_count();
  set_thread_count(1);
  plan.run_rows(0, kTokens - 4);
  run_row(kTokens - 4);
  run_row(kTokens - 3);
  EXPECT_EQ(count_allocations([&] { run_row(kTokens - 2); }), 0);
  set_thread_count(threads);
}

TEST_P(PlanOnDevice, TheFirstNonFiniteTensorIsNamed) {
  Net net = make_net(config_, weights_, Plan::Memory::kShared);
  load(net, config_, 3);
  net.plan->run();
  EXPECT_EQ(net.plan->find_non_finite(), "");
  std::vector<HostTensor> tensors = weights_.download();
  tensors[static_cast<size_t>(weights_.find("blocks.1.mlp.up"))].values[3] = INFINITY;
  weights_.upload(tensors);
  net.plan->run();
  EXPECT_EQ(net.plan->find_non_finite(), "blocks.1.mlp.up");
}

}  // namespace
}  // namespace pg
