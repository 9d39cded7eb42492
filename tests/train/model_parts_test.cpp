// Every part of a model beyond the base stack, alone: it changes the loss, its gradients are those of
// finite differences and alike on every device, its own parameters move in training, and it learns.
#include "tests/model/model_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"
#include "tests/model/finite_differences.h"
#include "tests/model/rounding_bound.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 3, kTokens = 12;

// Moves each parameter away from its first value by numbers that depend on its name alone.
void perturb_by_name(Weights& weights) {
  std::vector<HostTensor> tensors = weights.download();
  for (HostTensor& tensor : tensors) {
    const CounterRng rng(fnv1a(as_bytes(tensor.spec.name)), kStreamTest);
    uint64_t at = 0;
    for (float& value : tensor.values) value += static_cast<float>(0.1 * rng.normal(at++));
  }
  weights.upload(tensors);
}

struct Differentiated {
  double loss_nats = 0;
  Gradients gradients;
  int64_t calls = 0;
};

Differentiated differentiate(Device& device, const ModelConfig& config) {
  Weights weights(device, list_params(config), /*with_gradients=*/true);
  weights.initialise(1);
  perturb_by_name(weights);
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  plan.load(make_ids(kBatch * kTokens, config.vocab_size, 3),
            make_ids(kBatch * kTokens, config.vocab_size, 4));
  plan.run();
  weights.finish_gradients();
  return {plan.mean_loss(), read_gradients(weights), plan.plan().call_count()};
}

// Of all blocks together: the terms of a scalar's gradient may cancel in one of them.
double norm_of_role(const std::vector<ParamSpec>& specs, const Differentiated& result,
                    ParamRole role) {
  std::vector<float> all;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].place.role != role) continue;
    all.insert(all.end(), result.gradients[i].begin(), result.gradients[i].end());
  }
  return norm(all);
}

class Parts : public TrainerTest, public testing::WithParamInterface<ModelPart> {
 protected:
  Parts() {
    config_ = make_small_config();
    GetParam().switch_on(config_);
  }
  bool is_own(const ParamSpec& spec) const {
    return std::ranges::any_of(GetParam().params,
                               [&](const std::string& name) { return spec.name.ends_with(name); });
  }
  ModelConfig config_;
};

TEST_P(Parts, FitTheSmallModelAndChangeItsLoss) {
  ASSERT_EQ(check_model_config(config_), "");
  const auto device = make_device("reference:f64");
  EXPECT_GT(std::abs(differentiate(*device, config_).loss_nats -
                     differentiate(*device, make_small_config()).loss_nats),
            1e-5);
}

TEST_P(Parts, GradientsAreThoseOfFiniteDifferences) {
  const auto device = make_device("reference:f64");
  const Gradients gradients = differentiate(*device, config_).gradients;
  Weights weights(*device, list_params(config_), false);
  weights.initialise(1);
  perturb_by_name(weights);
  ModelPlan score(config_, weights, kBatch, kTokens, PlanMode::kScore);
  score.load(make_ids(kBatch * kTokens, config_.vocab_size, 3),
             make_ids(kBatch * kTokens, config_.vocab_size, 4));
  const auto loss = [&] {
    score.run();
    return score.mean_loss();
  };
  expect_slopes(weights, gradients, loss, /*longest_step=*/1e-2);
}

TEST_P(Parts, GradientsAreAlikeOnEveryDevice) {
  const auto exact = make_device("reference:f64");
  const Differentiated want = differentiate(*exact, config_);
  const std::vector<ParamSpec> specs = list_params(config_);
  for (const char* name : {"reference", "cpu:bf16", "cpu:exact", "simt"}) {
    const auto device = make_device(name);
    const Differentiated got = differentiate(*device, config_);
    const double bound =
        rounding_bound(device->compute_dtype(), got.calls + std::ssize(specs), config_.vocab_size);
    for (size_t i = 0; i < specs.size(); ++i) {
      std::vector<float> error = want.gradients[i];
      for (size_t k = 0; k < error.size(); ++k) error[k] -= got.gradients[i][k];
      EXPECT_LE(norm(error), bound * norm_of_role(specs, want, specs[i].place.role))
          << name << ", " << specs[i].name;
    }
  }
}

TEST_P(Parts, OwnParametersMoveInTraining) {
  setup_.model = config_;
  setup_.train.average = Average::kNone;
  Weights first(*device_, list_params(config_), false);
  first.initialise(static_cast<uint64_t>(setup_.train.seed));
  const std::vector<HostTensor> before = first.download();
  const std::vector<HostTensor> after = train(setup_).exported;
  size_t own = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (!is_own(before[i].spec)) continue;
    ++own;
    EXPECT_NE(before[i].values, after[i].values) << before[i].spec.name;
  }
  EXPECT_GE(own, GetParam().params.size());
}

// Knowing only which 16 ids occur costs ln 16; less needs the context.
TEST_P(Parts, LearnARepeatedText) {
  setup_.model = config_;
  setup_.train.max_steps = 60;
  setup_.train.warmdown_steps = 30;
  EXPECT_LT(train(setup_).last_loss_nats, 0.75 * std::log(16.0));
}

INSTANTIATE_TEST_SUITE_P(Each, Parts, testing::ValuesIn(model_parts().begin(), model_parts().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pg
