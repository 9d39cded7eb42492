// Adapters: absent until trained, gradients of both factors, and frozen parameters that get none.
#include "src/model/learning/adapters.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/plan/plan.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 9;

AdapterConfig adapt_everything() {
  return {.rank = 3, .targets = parse_adapter_targets("q,k,v,out,up,down,attn,mlp,head")};
}

std::vector<ParamSpec> list_adapted(const ModelConfig& config) {
  std::vector<ParamSpec> specs = list_params(config);
  freeze_all(specs);
  for (ParamSpec& spec : list_adapter_params(config, adapt_everything())) specs.push_back(spec);
  return specs;
}

void load(ModelPlan& plan, const ModelConfig& config) {
  plan.load(make_ids(kBatch * kTokens, config.vocab_size, 3),
            make_ids(kBatch * kTokens, config.vocab_size, 4));
}

std::vector<float> list_losses(const ModelConfig& config, Weights& weights) {
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kScore);
  load(plan, config);
  plan.run();
  std::vector<float> losses(kBatch * kTokens);
  plan.read_token_losses(losses);
  return losses;
}

class AdaptersOnDevice : public testing::TestWithParam<const char*> {
 protected:
  AdaptersOnDevice()
      : device_(make_device(GetParam())),
        plain_(*device_, list_params(config_), false),
        adapted_(*device_, list_adapted(config_), true) {
    plain_.initialise(1);
    perturb(plain_, 0.1, 11);
    adapted_.initialise(7);
    adapted_.upload(plain_.download());
  }
  const ModelConfig config_ = make_small_config();
  const std::unique_ptr<Device> device_;
  Weights plain_, adapted_;
};

INSTANTIATE_TEST_SUITE_P(Devices, AdaptersOnDevice,
                         testing::Values("reference", "cpu:bf16", "cpu:exact"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name;
                         });

// Law L11.
TEST_P(AdaptersOnDevice, UntrainedAdaptersLeaveEveryLossAsItWas) {
  EXPECT_EQ(list_losses(config_, plain_), list_losses(config_, adapted_));
}

TEST_P(AdaptersOnDevice, EveryAdapterChangesTheLosses) {
  const std::vector<float> before = list_losses(config_, adapted_);
  for (int i = 0; i < adapted_.count(); ++i) {
    const ParamSpec& spec = adapted_.spec(i);
    if (!spec.name.ends_with(".lora_b")) continue;
    std::vector<float> values(static_cast<size_t>(spec.elements()), 0.3f);
    device_->upload(adapted_.master(i), values.data(), values.size() * sizeof(float));
    adapted_.refresh_compute();
    EXPECT_NE(list_losses(config_, adapted_), before) << spec.name;
    std::fill(values.begin(), values.end(), 0.0f);
    device_->upload(adapted_.master(i), values.data(), values.size() * sizeof(float));
  }
  adapted_.refresh_compute();
  EXPECT_EQ(list_losses(config_, adapted_), before);
}

TEST(Adapters, StartWithinOneOverTheRootOfTheirInputs) {
  const auto device = make_device("reference");
  const ModelConfig config = make_small_config();
  Weights weights(*device, list_adapted(config), false);
  weights.initialise(3);
  for (const HostTensor& t : weights.download()) {
    if (t.spec.group != ParamGroup::kAdapter) continue;
    const bool is_a = t.spec.name.ends_with(".lora_a");
    const double bound = is_a ? 1.0 / std::sqrt(static_cast<double>(t.spec.cols)) : 0.0;
    double largest = 0;
    for (const float v : t.values) largest = std::max(largest, std::abs(static_cast<double>(v)));
    EXPECT_LE(largest, bound * (1 + 1e-6)) << t.spec.name;
    EXPECT_GE(largest, 0.8 * bound) << t.spec.name;
  }
}

// As Model.GradientOfEveryParameterMatchesFiniteDifferences, with the same bounds.
void compare_with_finite_differences(const ModelConfig& config) {
  const auto device = make_device("reference");
  Weights weights(*device, list_adapted(config), true);
  weights.initialise(1);
  perturb(weights, 0.1, 11);
  const std::vector<HostTensor> origin = weights.download();
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  load(plan, config);
  plan.run();
  weights.finish_gradients();
  ModelPlan score(config, weights, kBatch, kTokens, PlanMode::kScore);
  load(score, config);
  for (int i = 0; i < weights.count(); ++i) {
    const ParamSpec& spec = weights.spec(i);
    if (spec.group != ParamGroup::kAdapter) continue;
    const std::vector<float>& start = origin[static_cast<size_t>(i)].values;
    const float* gradient = weights.gradient(i);
    double norm = 0;
    for (int64_t k = 0; k < spec.elements(); ++k) {
      norm += std::pow(static_cast<double>(gradient[k]), 2);
    }
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1e-7) << spec.name;
    const double step = std::min(3e-2, 2e-3 / norm);
    const auto loss_at = [&](double distance) {
      for (size_t k = 0; k < start.size(); ++k) {
        weights.master(i)[k] =
            start[k] + static_cast<float>(distance * static_cast<double>(gradient[k]) / norm);
      }
      weights.refresh_compute();
      score.run();
      return score.mean_loss();
    };
    const double slope = (loss_at(step) - loss_at(-step)) / (2 * step);
    std::copy(start.begin(), start.end(), weights.master(i));
    EXPECT_NEAR(slope, norm, 0.02 * norm + 2e-6 / step) << spec.name;
  }
}

TEST(Adapters, GradientsMatchFiniteDifferences) {
  compare_with_finite_differences(make_small_config());
}

class AdaptersOfBlocks : public testing::TestWithParam<ParallelResidual> {};

// Beside branches that both read one norm, and that both lanes take.
TEST_P(AdaptersOfBlocks, GradientsMatchFiniteDifferences) {
  ModelConfig config = make_small_config();
  config.parallel_residual = GetParam();
  config.parallel_from = config.layers / 2;
  compare_with_finite_differences(config);
}

INSTANTIATE_TEST_SUITE_P(Parallel, AdaptersOfBlocks,
                         testing::Values(ParallelResidual::kGptj, ParallelResidual::kLanes,
                                         ParallelResidual::kLanesInTurn),
                         [](const auto& info) { return std::string(choice_name(info.param)); });

TEST(Adapters, FrozenParametersHaveNoGradientAndCostNoWork) {
  const auto device = make_device("cpu:exact");
  const ModelConfig config = make_small_config();
  Weights full(*device, list_params(config), true);
  std::vector<ParamSpec> specs = list_params(config);
  freeze_blocks(specs, 2);
  Weights part(*device, specs, true);
  full.initialise(1);
  part.initialise(1);
  ModelPlan full_plan(config, full, kBatch, kTokens, PlanMode::kTrain);
  ModelPlan part_plan(config, part, kBatch, kTokens, PlanMode::kTrain);
  load(full_plan, config);
  load(part_plan, config);
  full_plan.run();
  part_plan.run();
  full.finish_gradients();
  part.finish_gradients();
  EXPECT_LT(part_plan.flops(), full_plan.flops());
  EXPECT_LT(part.gradient_elements(), full.gradient_elements());
  int frozen = 0;
  for (int i = 0; i < part.count(); ++i) {
    const ParamSpec& spec = part.spec(i);
    const bool is_frozen = spec.name.starts_with("blocks.0.") || spec.name.starts_with("blocks.1.");
    frozen += is_frozen;
    ASSERT_EQ(part.gradient(i) == nullptr, is_frozen) << spec.name;
    for (int64_t k = 0; !is_frozen && k < spec.elements(); ++k) {
      ASSERT_EQ(part.gradient(i)[k], full.gradient(i)[k]) << spec.name;
    }
  }
  EXPECT_GT(frozen, 0);
}

// What plans read of each parameter, as bytes.
std::vector<std::vector<uint8_t>> list_copies(const Weights& weights) {
  std::vector<std::vector<uint8_t>> copies;
  for (int i = 0; i < weights.count(); ++i) {
    const In copy = weights.compute(i);
    const auto* const bytes = static_cast<const uint8_t*>(copy.data);
    copies.emplace_back(
        bytes, bytes + static_cast<size_t>(weights.spec(i).elements()) * dtype_bytes(copy.dtype));
  }
  return copies;
}

TEST(Adapters, RefreshingWhatIsTrainedLeavesFrozenCopiesAlone) {
  const ModelConfig config = make_small_config();
  std::vector<ParamSpec> half_frozen = list_params(config);
  freeze_blocks(half_frozen, 2);
  for (const char* name : {"cpu:bf16", "cpu:exact"}) {
    for (const std::vector<ParamSpec>& specs : {list_adapted(config), half_frozen}) {
      const auto device = make_device(name);
      Weights weights(*device, specs, true);
      weights.initialise(1);
      const auto before = list_copies(weights);
      for (int64_t i = 0; i < weights.flat_elements(); ++i) weights.masters()[i] += 1.0f;
      weights.refresh_trained();
      const auto trained = list_copies(weights);
      weights.refresh_compute();
      const auto all = list_copies(weights);
      int stayed = 0;
      for (size_t i = 0; i < all.size(); ++i) {
        const ParamSpec& spec = weights.spec(static_cast<int>(i));
        EXPECT_TRUE(!spec.trainable || trained[i] == all[i]) << name << " " << spec.name;
        stayed += trained[i] == before[i];
      }
      // In f32 what no scale belongs to has no copy.
      EXPECT_TRUE(stayed > 0 || std::string(name) == "cpu:exact") << specs.size();
    }
  }
}

TEST(Adapters, UnknownAndRepeatedTargetsAreNamed) {
  EXPECT_THROW(parse_adapter_targets("q,w"), Error);
  EXPECT_THROW(parse_adapter_targets("q,q"), Error);
  EXPECT_THROW(parse_adapter_targets("q,,v"), Error);
  EXPECT_TRUE(parse_adapter_targets("").empty());
}

}  // namespace
}  // namespace pg
