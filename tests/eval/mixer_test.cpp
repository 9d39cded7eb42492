// Laws of every mixer: a distribution over the whole vocabulary, from the prefix alone, changed by
// learn() only; random tokens stay incompressible and repetition does not.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <span>
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

// PPM-C by its definition, from the text alone: no tables, no sharing of work.
std::vector<double> ppm_by_definition(std::span<const int32_t> text, size_t vocab, size_t min_order,
                                      size_t max_order) {
  std::vector<double> probs(vocab);
  std::vector<bool> had(vocab);
  double left = 1;
  size_t others = vocab;
  for (size_t order = max_order; order >= 1; --order) {
    if (order > 1 && order < min_order) continue;
    const size_t tokens = order - 1;
    if (text.size() < tokens) continue;
    const auto context = text.last(tokens);
    std::vector<double> counts(vocab);
    for (size_t t = tokens; t < text.size(); ++t) {
      const auto before = text.subspan(t - tokens, tokens);
      const auto next = static_cast<size_t>(text[t]);
      if (!had[next] && std::equal(before.begin(), before.end(), context.begin())) ++counts[next];
    }
    double sum = 0, distinct = 0;
    for (const double count : counts) {
      sum += count;
      distinct += count > 0 ? 1 : 0;
    }
    if (distinct == 0) continue;
    others -= static_cast<size_t>(distinct);
    const double escapes = others == 0 ? 0 : distinct;
    for (size_t a = 0; a < vocab; ++a) {
      if (counts[a] == 0) continue;
      probs[a] = left * counts[a] / (sum + escapes);
      had[a] = true;
    }
    left *= escapes / (sum + escapes);
  }
  for (size_t a = 0; a < vocab; ++a) {
    if (!had[a]) probs[a] = left / static_cast<double>(others);
  }
  return probs;
}

TEST(PpmMixer, IsPpmCWithExclusion) {
  struct Case {
    int64_t vocab, min_order, max_order;
    double weight;
  };
  // Six tokens are soon all seen, even behind one context; of fifty some never are.
  for (const Case& c : {Case{6, 2, 5, 1.0}, Case{6, 3, 4, 0.3}, Case{50, 2, 16, 1.0}}) {
    MixConfig config;
    config.kind = MixKind::kPpm;
    config.min_order = c.min_order;
    config.max_order = c.max_order;
    config.ppm_weight = c.weight;
    const auto text = make_repetitive_tokens(400, c.vocab - (c.vocab > 6 ? 5 : 0), 10);
    const auto mixer = make_mixer(config, c.vocab, 400);
    const StandInNetwork network = make_random_network(c.vocab, 1, -1, 0, 1);
    MixedDistribution mixed;
    for (size_t t = 0; t < text.size(); ++t) {
      mixer->predict(network.distribution, mixed);
      const auto want =
          ppm_by_definition(std::span(text).first(t), static_cast<size_t>(c.vocab),
                            static_cast<size_t>(c.min_order), static_cast<size_t>(c.max_order));
      for (int32_t a = 0; a < c.vocab; ++a) {
        const double of_network = std::exp(static_cast<double>(network.distribution.log_prob(a)));
        const double p = (1 - c.weight) * of_network + c.weight * want[static_cast<size_t>(a)];
        ASSERT_NEAR(mixed.log_prob(network.distribution, a), std::log(p), 1e-6 * (1 - std::log(p)))
            << "token " << a << " at " << t << ", V " << c.vocab;
      }
      mixer->learn(text[t]);
    }
  }
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
