// A model that reads bags of tokens: what of them it may see, that their order does not matter, and its
// gradients. Tests (3) to (5) of token superposition's specification.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"
#include "tests/model/finite_differences.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 6, kBag = 3, kPositions = kBatch * kTokens;

class BagsTest : public testing::TestWithParam<const char*> {
 protected:
  BagsTest()
      : ids_(make_ids(kPositions * kBag, 61, 5)), targets_(make_ids(kPositions * kBag, 61, 6)) {
    ids_[1] = ids_[0];  // a bag that holds a token twice, going in and coming out
    targets_[4] = targets_[3];
  }

  struct Outcome {
    std::vector<float> losses, logits;
  };
  Outcome run(const ModelConfig& config, const std::vector<int32_t>& ids,
              const std::vector<int32_t>& targets) {
    Weights weights(*device_, list_params(config), false);
    weights.initialise(1);
    perturb(weights, 0.1, 2);
    Plan plan(weights);
    const ForwardTensors f =
        record_forward(plan, config, kBatch, kTokens, {.targets = kBag, .bag = kBag});
    plan.keep(f.loss);
    plan.keep(f.logits);
    plan.finish();
    plan.write_ids(f.ids, ids);
    plan.write_ids(f.targets, targets);
    plan.write_constant(f.target_weights, std::vector<float>(kBag, 1.0f / kBag));
    plan.run();
    Outcome o{std::vector<float>(kPositions), std::vector<float>(kPositions * 61)};
    plan.read(f.loss, 0, o.losses);
    plan.read(f.logits, 0, o.logits);
    return o;
  }

  const std::unique_ptr<Device> device_ = make_device(GetParam());
  std::vector<int32_t> ids_, targets_;
};
INSTANTIATE_TEST_SUITE_P(Devices, BagsTest, testing::Values("reference:f64", "cpu:exact"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, ':', '_');
                           return name;
                         });

TEST_P(BagsTest, APositionSeesItsBagAndThoseBefore) {
  const ModelConfig config = make_small_config();
  const Outcome before = run(config, ids_, targets_);
  for (int64_t changed = 0; changed < kTokens * kBag; ++changed) {
    std::vector<int32_t> ids = ids_;
    ids[static_cast<size_t>(changed)] = (ids[static_cast<size_t>(changed)] + 1) % 61;
    const Outcome after = run(config, ids, targets_);
    const auto row = [](const Outcome& o, int64_t position) {
      return std::vector<float>(o.logits.begin() + position * 61,
                                o.logits.begin() + (position + 1) * 61);
    };
    for (int64_t position = 0; position < kPositions; ++position) {
      const bool is_seen = position < kTokens && position >= changed / kBag;
      if (is_seen) continue;
      EXPECT_EQ(row(before, position), row(after, position)) << changed;
    }
    EXPECT_NE(row(before, changed / kBag), row(after, changed / kBag)) << changed;
  }
}

// Without what is keyed by pairs of tokens.
TEST_P(BagsTest, TheOrderWithinABagDoesNotMatter) {
  ModelConfig config = make_small_config();
  config.bigram_buckets = 0;
  const Outcome before = run(config, ids_, targets_);
  std::vector<int32_t> ids = ids_, targets = targets_;
  std::swap(targets[0], targets[2]);
  const Outcome of_targets = run(config, ids_, targets);
  EXPECT_EQ(before.logits, of_targets.logits);
  for (size_t i = 0; i < before.losses.size(); ++i) {
    EXPECT_NEAR(before.losses[i], of_targets.losses[i], 1e-5);
  }
  std::swap(ids[3], ids[4]);  // of two summands the order is none; a third comes after them
  EXPECT_EQ(before.logits, run(config, ids, targets_).logits);
}

TEST_P(BagsTest, GradientsAreThoseOfFiniteDifferences) {
  if (std::string(GetParam()) != "reference:f64") GTEST_SKIP() << "the slope of a loss needs f64";
  const ModelConfig config = make_small_config();
  Weights weights(*device_, list_params(config), true);
  weights.initialise(1);
  perturb(weights, 0.1, 2);
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain,
                 ForwardOptions{.targets = kBag, .bag = kBag});
  plan.set_target_weights(std::vector<float>(kBag, 1.0f / kBag));
  plan.load(ids_, targets_);
  plan.run();
  weights.finish_gradients();
  const auto loss = [&] {
    plan.run();
    return plan.mean_loss();
  };
  expect_slopes(weights, read_gradients(weights), loss, /*longest_step=*/3e-2);
}

// A plan in another's arena takes no memory of its own and computes the same.
TEST_P(BagsTest, APlanMayLiveInTheArenaOfAnother) {
  const ModelConfig config = make_small_config();
  Weights weights(*device_, list_params(config), true);
  weights.initialise(1);
  perturb(weights, 0.1, 2);
  const ModelPlan plain(config, weights, 3 * kBatch, kTokens, PlanMode::kTrain,
                        ForwardOptions{.targets = kBag});
  ModelPlan own(config, weights, kBatch, kTokens, PlanMode::kTrain,
                ForwardOptions{.targets = kBag, .bag = kBag});
  ModelPlan guest(config, weights, kBatch, kTokens, PlanMode::kTrain,
                  ForwardOptions{.targets = kBag, .bag = kBag, .lends_arena = &plain.plan()});
  EXPECT_GT(own.arena_bytes(), 0);
  EXPECT_EQ(guest.arena_bytes(), 0);
  const auto differentiate = [&](ModelPlan& plan) {
    plan.load(ids_, targets_);
    plan.run();
    weights.finish_gradients();
    return std::vector<float>(weights.gradients(),
                              weights.gradients() + weights.gradient_elements());
  };
  EXPECT_EQ(differentiate(own), differentiate(guest));
}

}  // namespace
}  // namespace pg
