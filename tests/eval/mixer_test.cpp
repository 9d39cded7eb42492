// Laws of every mixer: a distribution over the whole vocabulary, from the prefix alone, changed by
// learn() only; random tokens stay incompressible and repetition does not.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "eval/mix/make_mixer.h"
#include "eval/mix/ngram_mixer.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "tests/eval/mixer_fixture.h"

namespace pg {
namespace {

constexpr int64_t kVocab = 1024;
constexpr double kUniformBits = 10;

// Sum over the vocabulary through the scoring path.
double sum_of_probabilities(const MixedDistribution& mixed, const NetworkDistribution& network) {
  double sum = 0;
  for (size_t v = 0; v < network.logits.size(); ++v) {
    const double log_prob = mixed.log_prob(network, static_cast<int32_t>(v));
    EXPECT_TRUE(std::isfinite(log_prob)) << "token " << v;
    sum += std::exp(log_prob);
  }
  return sum;
}

class EveryMixer : public testing::TestWithParam<MixConfig> {
 protected:
  std::unique_ptr<TokenMixer> make(int64_t tokens, int64_t vocab_size = kVocab) const {
    return make_mixer(GetParam(), vocab_size, tokens);
  }
};

TEST_P(EveryMixer, SumsToOneOverTheVocabulary) {
  constexpr int64_t kSmallVocab = 200;
  const auto tokens = make_repetitive_tokens(8000, kSmallVocab, 1);
  const auto mixer = make(8000, kSmallVocab);
  const CounterRng rng(5, kStreamTest);
  MixedDistribution mixed;
  int reshaped = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    // From flat to certain, of the truth and of something else; 1e-9 < p(favourite) < 1 - 1e-13.
    const bool is_truth = rng.below(3 * t, 2) == 0;
    const auto favourite =
        is_truth ? tokens[t] : static_cast<int32_t>(rng.below(3 * t + 1, kSmallVocab));
    const double boost = -20 + 55 * rng.uniform(3 * t + 2);
    const StandInNetwork network =
        make_random_network(kSmallVocab, 0.1 * static_cast<double>(t % 40), favourite, boost, t);
    mixer->predict(network.distribution, mixed);
    reshaped += mixed.count > 0 || !mixed.all.empty() ? 1 : 0;
    if (t % 5 == 0) {
      MixedDistribution none;
      const double of_network = sum_of_probabilities(none, network.distribution);
      ASSERT_NEAR(of_network, 1, 5e-7) << "the stand-in is no distribution";
      ASSERT_NEAR(sum_of_probabilities(mixed, network.distribution), 1, 1e-6) << "position " << t;
    }
    mixer->learn(tokens[t]);
  }
  EXPECT_GT(reshaped, 100) << "nothing was reshaped: the test tests nothing";
}

TEST_P(EveryMixer, CannotCompressRandomTokens) {
  const auto tokens = make_uniform_tokens(200000, kVocab, 2);
  const auto mixer = make(200000);
  const auto bits = score_bits(*mixer, make_uniform_network(kVocab), tokens);
  EXPECT_GE(mean(bits), kUniformBits - 3 * standard_error(bits) - 1e-6);
}

TEST_P(EveryMixer, ExploitsRepetition) {
  const auto once = make_uniform_tokens(4000, kVocab, 3);
  auto twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  const auto mixer = make(8000);
  const auto bits = score_bits(*mixer, make_uniform_network(kVocab), twice);
  const double first = mean(std::span(bits).first(4000)), second = mean(std::span(bits).last(4000));
  EXPECT_GE(first, kUniformBits - 0.1);
  EXPECT_LT(second, 0.7 * first);
}

TEST_P(EveryMixer, PastPredictionsIgnoreTheFuture) {
  auto tokens = make_repetitive_tokens(3000, kVocab, 4);
  constexpr size_t kChanged = 2000;
  const StandInNetwork network = make_random_network(kVocab, 1.5, -1, 0, 1);
  const auto whole_mixer = make(3000);
  const auto whole = score_bits(*whole_mixer, network, tokens);
  for (size_t i = kChanged; i < tokens.size(); ++i) tokens[i] = (tokens[i] + 1) % int32_t{kVocab};
  const auto changed_mixer = make(3000);
  const auto changed = score_bits(*changed_mixer, network, tokens);
  for (size_t t = 0; t < kChanged; ++t) ASSERT_EQ(whole[t], changed[t]) << "position " << t;
}

TEST_P(EveryMixer, OnlyLearningChangesTheState) {
  const auto tokens = make_repetitive_tokens(500, kVocab, 5);
  const auto mixer = make(500);
  const StandInNetwork network = make_random_network(kVocab, 2, -1, 0, 1);
  MixedDistribution mixed, again;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const bool is_sampled = t % 50 == 0 || t < 5;
    const uint64_t before = is_sampled ? mixer->state_hash() : 0;
    mixer->predict(network.distribution, mixed);
    mixer->predict(network.distribution, again);
    ASSERT_EQ(mixed.count, again.count);
    ASSERT_EQ(mixed.log_rest, again.log_rest);
    if (is_sampled) {
      ASSERT_EQ(mixer->state_hash(), before);
    }
    mixer->learn(tokens[t]);
    if (is_sampled) {
      ASSERT_NE(mixer->state_hash(), before);
    }
  }
}

TEST_P(EveryMixer, StateIsAFunctionOfWhatWasLearnt) {
  const auto tokens = make_repetitive_tokens(500, kVocab, 6);
  const StandInNetwork network = make_random_network(kVocab, 2, -1, 0, 1);
  const auto a = make(500), b = make(500);
  score_bits(*a, network, tokens);
  score_bits(*b, network, tokens);
  EXPECT_EQ(a->state_hash(), b->state_hash());
}

TEST_P(EveryMixer, LearnsWithoutPredicting) {
  const auto tokens = make_repetitive_tokens(500, kVocab, 7);
  const auto mixer = make(500);
  for (const int32_t token : tokens) mixer->learn(token);
  const StandInNetwork network = make_uniform_network(kVocab);
  MixedDistribution mixed;
  mixer->predict(network.distribution, mixed);
  EXPECT_NEAR(sum_of_probabilities(mixed, network.distribution), 1, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryMixer, testing::ValuesIn(every_mix_config()),
                         [](const auto& info) {
                           return std::string(choice_name(info.param.kind)) +
                                  (info.param.learn_rate == 1 ? "_wild" : "");
                         });

TEST(TiltMixer, GatesNothingWithoutRepeats) {
  // The accepted entries' hash gated 0.33 % of such positions.
  const auto tokens = make_zipf_tokens(300000, 8192, 8);
  MixConfig config;
  config.kind = MixKind::kTilt;
  const auto mixer = make_mixer(config, 8192, 300000);
  const StandInNetwork network = make_uniform_network(8192);
  MixedDistribution mixed;
  for (size_t t = 0; t < tokens.size(); ++t) {
    mixer->predict(network.distribution, mixed);
    ASSERT_EQ(mixed.count, 0) << "position " << t;
    mixer->learn(tokens[t]);
  }
}

TEST(TiltMixer, IsTheAcceptedFormula) {
  MixConfig config;
  config.kind = MixKind::kTilt;
  config.tilt_order = 3;
  const auto mixer = make_mixer(config, 10, 100);
  const StandInNetwork network = make_random_network(10, 1, -1, 0, 1);
  MixedDistribution mixed;
  for (const int32_t token : {1, 2, 3, 1, 2}) mixer->learn(token);
  mixer->predict(network.distribution, mixed);
  ASSERT_EQ(mixed.count, 1);
  EXPECT_EQ(mixed.tokens[0], 3);
  const double q = std::exp(static_cast<double>(network.distribution.log_prob(3)));
  const double normaliser = 1 + q * (std::exp(2.625) - 1);
  EXPECT_NEAR(mixed.log_probs[0], std::log(q) + 2.625 - std::log(normaliser), 1e-6);
  EXPECT_NEAR(mixed.log_rest, -std::log(normaliser), 1e-6);
  // A second successor: 1 of 2 is below the threshold; 4 of 5 is not.
  for (const int32_t token : {4, 1, 2}) mixer->learn(token);
  mixer->predict(network.distribution, mixed);
  EXPECT_EQ(mixed.count, 0);
  for (int i = 0; i < 3; ++i) {
    for (const int32_t token : {3, 1, 2}) mixer->learn(token);
  }
  mixer->predict(network.distribution, mixed);
  EXPECT_EQ(mixed.count, 1);
}

TEST(TiltMixer, MinCountWaitsForEvidence) {
  MixConfig config;
  config.kind = MixKind::kTilt;
  config.tilt_order = 2;
  config.tilt_min_count = 2;
  const auto mixer = make_mixer(config, 10, 100);
  const StandInNetwork network = make_uniform_network(10);
  MixedDistribution mixed;
  for (const int32_t token : {1, 2, 1}) mixer->learn(token);
  mixer->predict(network.distribution, mixed);
  EXPECT_EQ(mixed.count, 0);
  for (const int32_t token : {2, 1}) mixer->learn(token);
  mixer->predict(network.distribution, mixed);
  EXPECT_EQ(mixed.count, 1);
}

TEST(LogitMixer, LearnsItsGate) {
  const auto tokens = make_repetitive_tokens(60000, kVocab, 9);
  const StandInNetwork network = make_uniform_network(kVocab);
  MixConfig config;
  config.kind = MixKind::kLogit;
  config.learn_rate = 0;
  const auto fixed = make_mixer(config, kVocab, 60000);
  const double fixed_bits = mean(score_bits(*fixed, network, tokens));

  config.learn_rate = 0.005;
  LogitMixer learning(config, kVocab, 60000);
  const double learning_bits = mean(score_bits(learning, network, tokens));
  EXPECT_LT(learning_bits, fixed_bits - 0.01) << "the gate learns nothing";
}

TEST(MakeMixer, RefusesContradictions) {
  MixConfig config;
  EXPECT_EQ(make_mixer(config, kVocab, 10), nullptr) << "none changes nothing";
  config.kind = MixKind::kLogit;
  config.min_order = 11;
  EXPECT_THROW(make_mixer(config, kVocab, 10), Error);
  config = MixConfig{};
  config.kind = MixKind::kLinear;
  config.linear_base = 0.6;
  EXPECT_THROW(make_mixer(config, kVocab, 10), Error);
}

}  // namespace
}  // namespace pg
