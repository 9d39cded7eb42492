// Generation repeats by seed, and its sampler draws from the distribution it is told to.
#include "eval/diagnosis/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

const std::vector<float> kLogits = {0.5f, 2.0f, -1.0f, 2.0f, 1.0f, -200.0f};

TEST(SampleToken, GreedyTakesTheFirstOfTheLikeliest) {
  EXPECT_EQ(sample_token(kLogits, {.temperature = 0}, 0.9), 1);
}

TEST(SampleToken, OneCandidateIsGreedy) {
  for (double uniform = 0; uniform < 1; uniform += 0.01) {
    EXPECT_EQ(sample_token(kLogits, {.top_k = 1}, uniform), 1);
    EXPECT_EQ(sample_token(kLogits, {.top_p = 1e-9}, uniform), 1);
  }
}

// How often each token is drawn by evenly spaced uniforms.
std::vector<double> draw_shares(const GenerateOptions& options) {
  constexpr int kDraws = 20000;
  std::vector<double> shares(kLogits.size());
  for (int i = 0; i < kDraws; ++i) {
    shares[static_cast<size_t>(sample_token(kLogits, options, (i + 0.5) / kDraws))] += 1.0 / kDraws;
  }
  return shares;
}

TEST(SampleToken, DrawsTheSoftmaxAtEveryTemperature) {
  for (const double temperature : {0.5, 1.0, 3.0}) {
    const std::vector<double> shares = draw_shares({.temperature = temperature});
    double mass = 0;
    for (const float logit : kLogits) mass += std::exp(static_cast<double>(logit) / temperature);
    for (size_t i = 0; i < kLogits.size(); ++i) {
      // Evenly spaced uniforms miss a share by at most one draw at either end.
      EXPECT_NEAR(shares[i], std::exp(static_cast<double>(kLogits[i]) / temperature) / mass, 1e-4);
    }
  }
}

TEST(SampleToken, TopKAndTopPCutTheUnlikely) {
  const std::vector<double> top_3 = draw_shares({.top_k = 3});
  EXPECT_EQ(top_3[0], 0);
  EXPECT_GT(top_3[4], 0);
  const std::vector<double> all = draw_shares({});
  // The two likeliest fall short of the wanted mass by a hair, so that a third is taken.
  const std::vector<double> nucleus = draw_shares({.top_p = all[1] + all[3] + 0.01});
  EXPECT_EQ(nucleus[0], 0);
  EXPECT_GT(nucleus[4], 0);
}

TEST(SampleToken, TheEndsOfTheUniformStayInside) {
  EXPECT_EQ(sample_token(kLogits, {}, 0.0), sample_token(kLogits, {}, 1e-12));
  EXPECT_NE(sample_token(kLogits, {}, 0.0), 5) << "a token of no mass";
  EXPECT_EQ(sample_token(kLogits, {}, 1.0 - 0x1.0p-53), 1);
  EXPECT_THROW(sample_token(std::vector<float>{0.0f, NAN}, {}, 0.5), Error);
}

class Generate : public testing::Test {
 protected:
  std::vector<int32_t> run(const GenerateOptions& options, const OnTokenFn& on_token = {}) {
    return generate(model_, prompt_, options, *device_, on_token);
  }

  const ModelConfig config_ = make_test_config();
  const UnpackedModel model_ = make_artifact_model(config_, make_random_weights(config_, 6));
  const std::vector<int32_t> prompt_ = {1, 9, 4};
  const std::unique_ptr<Device> device_ = make_device("reference");
};

TEST_F(Generate, RepeatsBySeed) {
  const std::vector<int32_t> first = run({.tokens = 20, .context = 16, .seed = 7});
  EXPECT_EQ(first, run({.tokens = 20, .context = 16, .seed = 7}));
  EXPECT_NE(first, run({.tokens = 20, .context = 16, .seed = 8}));
  ASSERT_EQ(first.size(), 20u);
  for (const int32_t id : first) {
    EXPECT_GE(id, 0);
    EXPECT_LT(id, kTestVocab);
  }
}

TEST_F(Generate, GreedyIgnoresTheSeedAndEqualsOneCandidate) {
  const std::vector<int32_t> greedy = run({.tokens = 12, .temperature = 0, .seed = 1});
  EXPECT_EQ(greedy, run({.tokens = 12, .temperature = 0, .seed = 2}));
  EXPECT_EQ(greedy, run({.tokens = 12, .top_k = 1, .seed = 3}));
  EXPECT_EQ(greedy, run({.tokens = 12, .top_p = 1e-9, .seed = 4}));
}

TEST_F(Generate, DrawsTokensFromPlainPlansOfTheNewestTokens) {
  // Goes beyond the shortest plan of 32 tokens and then beyond the context. RoPE's base does not
  // depend on the plan's length here.
  const GenerateOptions options = {.tokens = 45, .context = 40, .seed = 5};
  const std::vector<int32_t> generated = run(options);
  Weights weights(*device_, list_params(config_), false);
  weights.upload(model_.tensors());
  const CounterRng rng(options.seed, kStreamSampling);
  std::vector<int32_t> text = prompt_;
  for (size_t i = 0; i < generated.size(); ++i) {
    const auto length = std::min(static_cast<int64_t>(text.size()), options.context);
    const std::vector<int32_t> window(text.end() - length, text.end());
    ModelPlan plan(config_, weights, 1, length, PlanMode::kLogProbs);
    plan.load(window, {});
    plan.run();
    std::vector<float> log_probs(kTestVocab);
    plan.read_log_probs(length - 1, log_probs);
    ASSERT_EQ(generated[i], sample_token(log_probs, options, rng.uniform(i))) << "token " << i;
    text.push_back(generated[i]);
  }
}

TEST_F(Generate, StreamsTokensAndStopsWhenTold) {
  std::vector<int32_t> heard;
  const std::vector<int32_t> ids = run({.tokens = 20}, [&](int32_t id) {
    heard.push_back(id);
    return heard.size() < 5;
  });
  EXPECT_EQ(ids.size(), 5u);
  EXPECT_EQ(ids, heard);
}

TEST_F(Generate, RefusesOptionsOutOfRange) {
  EXPECT_THROW(run({.tokens = -1}), Error);
  EXPECT_THROW(run({.context = 0}), Error);
  EXPECT_THROW(run({.temperature = -1}), Error);
  EXPECT_THROW(run({.temperature = NAN}), Error);
  EXPECT_THROW(run({.top_k = -1}), Error);
  EXPECT_THROW(run({.top_p = 0}), Error);
  EXPECT_THROW(run({.top_p = 1.1}), Error);
}

TEST_F(Generate, RefusesAPromptThatIsNone) {
  EXPECT_THROW(generate(model_, {}, {}, *device_), Error);
  const std::vector<int32_t> beyond = {1, kTestVocab};
  EXPECT_THROW(generate(model_, beyond, {}, *device_), Error);
}

}  // namespace
}  // namespace pg
