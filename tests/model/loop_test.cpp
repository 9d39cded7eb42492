// Depth recurrence: which block runs when, and that a model whose blocks repeat is the one with as many
// blocks as runs, weight for weight.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

ModelConfig make_looped(int64_t layers, int64_t first, int64_t last, int64_t passes) {
  ModelConfig c = make_small_config();
  c.layers = layers;
  c.loop_first = first;
  c.loop_last = last;
  c.loop_passes = passes;
  return c;
}

std::vector<int64_t> list_runs(const ModelConfig& c) {
  std::vector<int64_t> blocks;
  for (int64_t run = 0; run < c.layers + loop_runs(c); ++run) {
    blocks.push_back(block_of_run(c, run));
  }
  return blocks;
}

TEST(Loop, BlocksRunInTheOrderOfTheRecords) {
  const ModelConfig r405 = make_looped(11, 4, 5, 3), r409 = make_looped(11, 3, 5, 3);
  EXPECT_EQ(list_runs(r405), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 4, 5, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(skip_count(r405), 7);
  EXPECT_EQ(list_runs(r409),
            (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(skip_count(r409), 8);
  EXPECT_EQ(list_runs(make_looped(3, 0, 2, 2)), (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(list_runs(make_looped(3, 2, 2, 3)), (std::vector<int64_t>{0, 1, 2, 2, 2}));
  EXPECT_EQ(list_runs(make_looped(3, 3, 5, 1)), (std::vector<int64_t>{0, 1, 2}));
}

TEST(Loop, OfBlocksThatDoNotExistIsRefused) {
  EXPECT_EQ(check_model_config(make_looped(4, 3, 3, 2)), "");
  EXPECT_EQ(check_model_config(make_looped(4, 3, 5, 1)), "");
  EXPECT_NE(check_model_config(make_looped(4, 3, 4, 2)).find("give blocks from 0 to 3"),
            std::string::npos);
  EXPECT_NE(check_model_config(make_looped(4, 2, 1, 2)).find("model.loop_first \"2\""),
            std::string::npos);
}

// Blocks 1 and 2 of four run three times. All that a block does is alike in every place.
ModelConfig make_alike() {
  ModelConfig c = make_looped(4, 1, 2, 3);
  c.ln_scale = false;
  c.xsa_last_n = c.layers;
  c.value_embed_layers = c.layers;
  return c;
}

ModelConfig unroll(const ModelConfig& looped) {
  ModelConfig c = looped;
  c.layers = looped.layers + loop_runs(looped);
  c.xsa_last_n = c.value_embed_layers = c.layers;
  c.loop_passes = 1;
  return c;
}

// Where the parameter of an unrolled model stands in the looped one, whose runs have adapters of their
// own or not.
ParamPlace place_in_loop(const ModelConfig& looped, const ModelConfig& unrolled, ParamPlace place,
                         bool per_run) {
  if (per_run && place.factor != AdapterFactor::kNone && place.layer >= 0) {
    place.layer = adapter_layer_of_run(looped, place.layer);
  } else if (place.role == ParamRole::kSkip) {
    place.layer += encoder_blocks(looped) - encoder_blocks(unrolled);
  } else if (place.layer >= 0) {
    place.layer = block_of_run(looped, place.layer);
  }
  return place;
}

class LoopTest : public testing::TestWithParam<const char*> {
 protected:
  static std::vector<ParamSpec> list_all(const ModelConfig& c, bool per_run = false) {
    std::vector<ParamSpec> specs = list_params(c);
    for (const ParamSpec& spec :
         list_adapter_params(c, {.rank = 2,
                                .targets = parse_adapter_targets("q,k,v,out,up,down,attn,mlp,head"),
                                .per_run = per_run})) {
      specs.push_back(spec);
    }
    return specs;
  }
  void fill(Weights& loop, Weights& flat, bool per_run) const {
    loop.initialise(3);
    perturb(loop, 0.1, 5);
    std::vector<HostTensor> tensors = flat.download();
    const std::vector<HostTensor> source = loop.download();
    for (HostTensor& tensor : tensors) {
      const int from = loop.find(place_in_loop(looped_, unrolled_, tensor.spec.place, per_run));
      tensor.values = source[static_cast<size_t>(from)].values;
    }
    flat.upload(tensors);
  }

  const std::unique_ptr<Device> device_ = make_device(GetParam());
  const ModelConfig looped_ = make_alike(), unrolled_ = unroll(looped_);
  const std::vector<int32_t> ids_ = make_ids(24, 61, 8), targets_ = make_ids(24, 61, 9);
};
INSTANTIATE_TEST_SUITE_P(Devices, LoopTest, testing::Values("reference:f64", "cpu", "cpu:exact"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name;
                         });

TEST_P(LoopTest, HasTheLossesOfTheUnrolledModel) {
  const auto losses = [&](const ModelConfig& config, Weights& weights) {
    ModelPlan plan(config, weights, 2, 12, PlanMode::kScore);
    plan.load(ids_, targets_);
    plan.run();
    std::vector<float> values(ids_.size());
    plan.read_token_losses(values);
    return values;
  };
  for (const bool per_run : {false, true}) {
    Weights loop(*device_, list_all(looped_, per_run), false);
    Weights flat(*device_, list_all(unrolled_), false);
    fill(loop, flat, per_run);
    EXPECT_EQ(losses(looped_, loop), losses(unrolled_, flat)) << per_run;
  }
}

// A block's gradient is the sum of those of its runs.
class LoopGradients : public LoopTest {
 protected:
  void compare(bool per_run);
};
INSTANTIATE_TEST_SUITE_P(Devices, LoopGradients,
                         testing::Values("reference:f64", "cpu", "cpu:exact"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name;
                         });
TEST_P(LoopGradients, AreTheSumsOfTheUnrolledOnes) { compare(/*per_run=*/false); }
TEST_P(LoopGradients, OfAdaptersOfEachRunAreThoseOfTheUnrolledOnes) { compare(/*per_run=*/true); }

void LoopGradients::compare(bool per_run) {
  Weights loop(*device_, list_all(looped_, per_run), true);
  Weights flat(*device_, list_all(unrolled_), true);
  fill(loop, flat, per_run);
  const auto differentiate = [&](const ModelConfig& config, Weights& weights) {
    ModelPlan plan(config, weights, 2, 12, PlanMode::kTrain);
    plan.load(ids_, targets_);
    plan.run();
    weights.finish_gradients();
  };
  differentiate(looped_, loop);
  differentiate(unrolled_, flat);
  std::vector<std::vector<double>> sums;
  for (int i = 0; i < loop.count(); ++i) {
    sums.emplace_back(static_cast<size_t>(loop.spec(i).elements()), 0.0);
  }
  for (int i = 0; i < flat.count(); ++i) {
    const int to = loop.find(place_in_loop(looped_, unrolled_, flat.spec(i).place, per_run));
    for (size_t k = 0; k < sums[static_cast<size_t>(to)].size(); ++k) {
      sums[static_cast<size_t>(to)][k] += static_cast<double>(flat.gradient(i)[k]);
    }
  }
  for (int i = 0; i < loop.count(); ++i) {
    const ParamRole role = loop.spec(i).place.role;
    // A scale of rows has the gradient of one matrix alone, and is frozen where there are adapters.
    const bool is_row_scale = role == ParamRole::kAttentionScale || role == ParamRole::kMlpScale;
    if (per_run && is_row_scale) continue;
    double error = 0, norm = 0;
    for (size_t k = 0; k < sums[static_cast<size_t>(i)].size(); ++k) {
      const double want = sums[static_cast<size_t>(i)][k];
      error += std::pow(want - static_cast<double>(loop.gradient(i)[k]), 2);
      norm += std::pow(want, 2);
    }
    EXPECT_GT(norm, 0) << loop.spec(i).name;
    EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(norm)) << loop.spec(i).name;  // f32 sums
  }
}

// Work and memory follow the runs.
TEST_P(LoopTest, CountsTheWorkOfEveryRun) {
  Weights loop(*device_, list_params(looped_), true), flat(*device_, list_params(unrolled_), true);
  const ModelPlan looped(looped_, loop, 2, 12, PlanMode::kTrain);
  const ModelPlan unrolled(unrolled_, flat, 2, 12, PlanMode::kTrain);
  EXPECT_EQ(looped.flops(), unrolled.flops());
  EXPECT_EQ(looped.arena_bytes(), unrolled.arena_bytes());
}

}  // namespace
}  // namespace pg
