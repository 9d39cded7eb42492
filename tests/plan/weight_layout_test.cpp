// Where parameters lie: banks without gaps that matter, joined q, k, v, the artifact's order apart.
#include "src/plan/weight_layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

std::vector<int> find_role(const std::vector<ParamSpec>& specs, ParamRole role) {
  std::vector<int> found;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].place.role == role) found.push_back(static_cast<int>(i));
  }
  return found;
}

TEST(WeightLayout, NoTwoParametersOverlapAndEachIsAligned) {
  const std::vector<ParamSpec> specs = list_params(make_small_config());
  const WeightLayout layout(specs);
  int64_t end = 0;
  for (const int i : layout.order()) {
    const ParamSpec& spec = specs[static_cast<size_t>(i)];
    EXPECT_GE(layout.offset(i), end) << spec.name;
    const bool may_follow = spec.place.role == ParamRole::kK || spec.place.role == ParamRole::kV;
    EXPECT_TRUE(may_follow || layout.offset(i) % 32 == 0) << spec.name;
    end = layout.offset(i) + spec.elements();
  }
  EXPECT_GE(layout.elements(), end);
  EXPECT_EQ(layout.order().size(), specs.size());
}

TEST(WeightLayout, EqualMatricesOfAllBlocksAreOneBatchEach) {
  ModelConfig config = make_small_config();
  config.dim = 36;  // a head of 9: matrices of no multiple of 32 elements
  config.rope_dims = 2;
  config.rope_ntk_length = 0;
  const std::vector<ParamSpec> specs = list_params(config);
  const WeightLayout layout(specs);
  for (const ParamRole role : {ParamRole::kQ, ParamRole::kK, ParamRole::kV, ParamRole::kOut,
                               ParamRole::kUp, ParamRole::kDown}) {
    const std::vector<int> params = find_role(specs, role);
    const std::vector<ParamBatch> batches = layout.batches(specs, params);
    ASSERT_EQ(batches.size(), 1u);
    EXPECT_EQ(batches[0].shape.count, config.layers);
    EXPECT_EQ(batches[0].params, params);
    for (size_t l = 0; l < params.size(); ++l) {
      EXPECT_EQ(layout.offset(params[l]),
                batches[0].offset + static_cast<int64_t>(l) * batches[0].shape.stride);
    }
  }
}

TEST(WeightLayout, QueriesKeysAndValuesOfABlockAreOneMatrix) {
  const auto device = make_device("cpu:bf16");
  const ModelConfig config = make_small_config();
  const Weights weights(*device, list_params(config), /*with_gradients=*/true);
  for (int64_t l = 0; l < config.layers; ++l) {
    const int q = weights.find(ParamPlace{ParamRole::kQ, l});
    const int k = weights.find(ParamPlace{ParamRole::kK, l});
    const int v = weights.find(ParamPlace{ParamRole::kV, l});
    EXPECT_TRUE(weights.are_joined(std::vector{q, k, v}));
    EXPECT_FALSE(weights.are_joined(std::vector{q, v}));
    EXPECT_EQ(weights.gradient(k), weights.gradient(q) + weights.spec(q).elements());
    EXPECT_EQ(static_cast<const bf16*>(weights.compute(k).data),
              static_cast<const bf16*>(weights.compute(q).data) + weights.spec(q).elements());
  }
}

TEST(WeightLayout, UpAndGateOfABlockAreOneMatrix) {
  const auto device = make_device("cpu:bf16");
  ModelConfig config = make_small_config();
  config.mlp = Mlp::kSwiglu;
  const std::vector<ParamSpec> specs = list_params(config);
  const Weights weights(*device, specs, /*with_gradients=*/true);
  for (int64_t l = 0; l < config.layers; ++l) {
    const int up = weights.find(ParamPlace{ParamRole::kUp, l});
    const int gate = weights.find(ParamPlace{ParamRole::kGate, l});
    EXPECT_TRUE(weights.are_joined(std::vector{up, gate}));
    EXPECT_EQ(weights.gradient(gate), weights.gradient(up) + weights.spec(up).elements());
  }
  const WeightLayout layout(specs);
  for (const ParamRole role : {ParamRole::kUp, ParamRole::kGate}) {
    const std::vector<ParamBatch> batches = layout.batches(specs, find_role(specs, role));
    ASSERT_EQ(batches.size(), 1u);
    EXPECT_EQ(batches[0].shape.count, config.layers);
  }
}

// The record's optimizer: one range a bank, one for the embeddings, one for the rest.
TEST(WeightLayout, TrainedRangesAreFewAndCoverAll) {
  const ModelConfig record;
  const std::vector<ParamSpec> specs = list_params(record);
  const WeightLayout layout(specs);
  EXPECT_EQ(layout.trained_ranges().size(), 6u);
  int64_t covered = 0;
  for (const ParamRange& range : layout.trained_ranges()) {
    EXPECT_EQ(range.offset, range.gradient_offset);
    covered += range.elements;
  }
  EXPECT_EQ(covered, layout.elements());
}

TEST(WeightLayout, FrozenBlocksHaveNoGradientAndTheOthersKeepTheirBanks) {
  std::vector<ParamSpec> specs = list_params(make_small_config());
  freeze_blocks(specs, 2);
  const WeightLayout layout(specs);
  for (const ParamRange& range : layout.trained_ranges()) {
    for (size_t i = 0; i < specs.size(); ++i) {
      const int64_t at = layout.offset(static_cast<int>(i)) - range.offset;
      if (at < 0 || at >= range.elements) continue;
      EXPECT_TRUE(specs[i].trainable) << specs[i].name;
      EXPECT_EQ(layout.gradient_offset(static_cast<int>(i)) - range.gradient_offset, at);
      EXPECT_EQ(specs[i].group, range.group);
    }
  }
}

// y = (s w) x is s (w x): the copies carry the scales, and finish_gradients() gives both gradients.
TEST(WeightLayout, ScaledCopiesAndTheirGradientsFollowTheFormula) {
  const auto device = make_device("cpu:exact");
  const ModelConfig config = make_small_config();
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  weights.initialise(1);
  perturb(weights, 0.3, 7);
  const std::vector<HostTensor> tensors = weights.download();
  for (int64_t l = 0; l < config.layers; ++l) {
    const int w = weights.find(ParamPlace{ParamRole::kDown, l});
    const int s = weights.find(ParamPlace{ParamRole::kMlpScale, l});
    const std::vector<float>& scale = tensors[static_cast<size_t>(s)].values;
    const std::vector<float>& master = tensors[static_cast<size_t>(w)].values;
    const auto* const copy = static_cast<const float*>(weights.compute(w).data);
    const int64_t cols = weights.spec(w).cols;
    for (size_t i = 0; i < master.size(); ++i) {
      const size_t row = i / static_cast<size_t>(cols);
      EXPECT_EQ(copy[i], scale[row] * master[i]);
      weights.gradient(w)[i] = static_cast<float>(i % 7) - 3.0f;  // of the copy
    }
  }
  weights.finish_gradients();
  for (int64_t l = 0; l < config.layers; ++l) {
    const int w = weights.find(ParamPlace{ParamRole::kDown, l});
    const int s = weights.find(ParamPlace{ParamRole::kMlpScale, l});
    const auto cols = static_cast<size_t>(weights.spec(w).cols);
    for (size_t row = 0; row < static_cast<size_t>(weights.spec(w).rows); ++row) {
      double sum = 0, size = 0;
      for (size_t c = 0; c < cols; ++c) {
        const size_t i = row * cols + c;
        const float before = static_cast<float>(i % 7) - 3.0f;
        const float value = tensors[static_cast<size_t>(w)].values[i];
        EXPECT_EQ(weights.gradient(w)[i], tensors[static_cast<size_t>(s)].values[row] * before);
        sum += static_cast<double>(before) * static_cast<double>(value);
        size += std::abs(static_cast<double>(before) * static_cast<double>(value));
      }
      // A sum of so many products in f32.
      EXPECT_NEAR(weights.gradient(s)[row], sum, static_cast<double>(cols) * 0x1p-24 * size);
    }
  }
}

}  // namespace
}  // namespace pg
