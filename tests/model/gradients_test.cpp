// Every device's gradient of every parameter of a whole model against the fp64 reference's, for
// plans that share memory and gradient buffers and for plans that do not.
#include <gtest/gtest.h>

#include <cmath>

#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"
#include "tests/model/model_fixture.h"
#include "tests/model/rounding_bound.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 3, kTokens = 12;
using Gradients = std::vector<std::vector<float>>;  // in list_params order

// An odd number of layers has a decoder longer than the encoder, an even one has none to spare; at
// the first decoder block both inputs of the skip's mix are one tensor in either.
ModelConfig make_full_config(int64_t layers) {
  ModelConfig config = make_small_config();
  config.layers = layers;
  config.rope_ntk_length = 8;
  config.rope_context = 16;  // so that the base grows
  if (layers == 6) {         // and blocks run twice, with skips from and to their runs
    config.loop_first = 1;
    config.loop_last = 2;
    config.loop_passes = 2;
  }
  return config;
}

struct Differentiated {
  Gradients gradients;
  int64_t steps = 0;
};

Differentiated differentiate(Device& device, const ModelConfig& config, Plan::Memory memory,
                             Plan::Gradients passing) {
  Weights weights(device, list_params(config), /*with_gradients=*/true);
  weights.initialise(1);
  perturb(weights, 0.1, 11);
  Plan plan(weights, memory, passing);
  const ForwardTensors f = record_forward(plan, config, kBatch, kTokens);
  plan.finish(f.loss);
  plan.write_ids(f.ids, make_ids(kBatch * kTokens, config.vocab_size, 3));
  plan.write_ids(f.targets, make_ids(kBatch * kTokens, config.vocab_size, 4));
  plan.run();
  weights.finish_gradients();
  Differentiated result{{}, plan.call_count()};
  for (int i = 0; i < weights.count(); ++i) {
    result.gradients.emplace_back(weights.gradient(i),
                                  weights.gradient(i) + weights.spec(i).elements());
  }
  return result;
}

double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  double error = 0, norm = 0;
  for (size_t k = 0; k < want.size(); ++k) {
    error += std::pow(static_cast<double>(got[k]) - static_cast<double>(want[k]), 2);
    norm += std::pow(static_cast<double>(want[k]), 2);
  }
  return std::sqrt(error / norm);
}

class ModelGradients : public testing::TestWithParam<std::tuple<const char*, int64_t>> {
 protected:
  const std::unique_ptr<Device> device_ = make_device(std::get<0>(GetParam()));
  const ModelConfig config_ = make_full_config(std::get<1>(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Devices, ModelGradients,
                         testing::Combine(testing::Values("reference", "cpu:bf16", "cpu:exact",
                                                          "simt"),
                                          testing::Values(4, 5, 6)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param);
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name + "_" + std::to_string(std::get<1>(info.param)) + "_layers";
                         });

TEST_P(ModelGradients, AreThoseOfTheReferenceForEveryKindOfPlan) {
  const auto exact = make_device("reference:f64");
  const Gradients want =
      differentiate(*exact, config_, Plan::Memory::kSeparate, Plan::Gradients::kCopied).gradients;
  const std::vector<ParamSpec> specs = list_params(config_);
  for (const auto memory : {Plan::Memory::kShared, Plan::Memory::kSeparate}) {
    for (const auto passing : {Plan::Gradients::kPassedOn, Plan::Gradients::kCopied}) {
      const auto [got, steps] = differentiate(*device_, config_, memory, passing);
      const double bound =
          rounding_bound(device_->compute_dtype(), steps + static_cast<int64_t>(specs.size()),
                         /*longest_sum=*/config_.vocab_size);
      for (size_t i = 0; i < specs.size(); ++i) {
        EXPECT_LE(relative_error(got[i], want[i]), bound)
            << specs[i].name << (memory == Plan::Memory::kShared ? ", shared" : ", separate")
            << (passing == Plan::Gradients::kPassedOn ? ", passed on" : ", copied");
      }
    }
  }
}

// Law L10.
TEST_P(ModelGradients, AreTheSameBitsForEveryKindOfPlan) {
  const Gradients want =
      differentiate(*device_, config_, Plan::Memory::kSeparate, Plan::Gradients::kCopied).gradients;
  for (const auto memory : {Plan::Memory::kShared, Plan::Memory::kSeparate}) {
    for (const auto passing : {Plan::Gradients::kPassedOn, Plan::Gradients::kCopied}) {
      const Gradients got = differentiate(*device_, config_, memory, passing).gradients;
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_TRUE(got[i] == want[i]) << list_params(config_)[i].name;
      }
    }
  }
}

}  // namespace
}  // namespace pg
