#include "tests/eval/mixer_fixture.h"

#include <cmath>

#include "src/base/rng.h"

namespace pg {

std::vector<int32_t> make_uniform_tokens(size_t size, int64_t vocab_size, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<int32_t> tokens(size);
  for (size_t i = 0; i < size; ++i) {
    tokens[i] = static_cast<int32_t>(rng.below(i, static_cast<uint64_t>(vocab_size)));
  }
  return tokens;
}

std::vector<int32_t> make_zipf_tokens(size_t size, int64_t vocab_size, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<int32_t> tokens(size);
  const double log_size = std::log(static_cast<double>(vocab_size));
  for (size_t i = 0; i < size; ++i) {  // the integer part of V^u has a density of 1 / rank
    tokens[i] = static_cast<int32_t>(std::exp(log_size * rng.uniform(i))) - 1;
  }
  return tokens;
}

std::vector<int32_t> make_repetitive_tokens(size_t size, int64_t vocab_size, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<int32_t> tokens;
  for (uint64_t draw = 0; tokens.size() < size; draw += 3) {
    if (tokens.empty() || rng.below(draw, 8) == 0) {
      tokens.push_back(
          static_cast<int32_t>(rng.below(draw + 1, static_cast<uint64_t>(vocab_size))));
      continue;
    }
    const size_t from = rng.below(draw + 1, tokens.size());
    const size_t length = rng.below(draw + 2, 30);
    for (size_t i = 0; i < length; ++i) tokens.push_back(tokens[from + i]);
  }
  tokens.resize(size);
  return tokens;
}

void StandInNetwork::finish() {
  double sum = 0, mean_logit = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  for (const float logit : logits) mean_logit += logit * std::exp(static_cast<double>(logit)) / sum;
  distribution = {.logits = logits,
                  .log_normaliser = static_cast<float>(std::log(sum)),
                  .entropy_nats = static_cast<float>(std::log(sum) - mean_logit)};
}

StandInNetwork make_uniform_network(int64_t vocab_size) {
  return make_random_network(vocab_size, 0, -1, 0, 0);
}

StandInNetwork make_random_network(int64_t vocab_size, double spread, int32_t favourite,
                                   double boost, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  StandInNetwork network;
  for (int64_t v = 0; v < vocab_size; ++v) {
    const double boosted = v == favourite ? boost : 0;
    network.logits.push_back(
        static_cast<float>(boosted + spread * rng.normal(static_cast<uint64_t>(v))));
  }
  // A normaliser near 0, so that its rounding does not dominate what is tested.
  double sum = 0;
  for (const float logit : network.logits) sum += std::exp(static_cast<double>(logit));
  for (float& logit : network.logits) logit -= static_cast<float>(std::log(sum));
  network.finish();
  return network;
}

std::vector<double> score_bits(TokenMixer& mixer, const StandInNetwork& network,
                               std::span<const int32_t> tokens) {
  std::vector<double> bits;
  MixedDistribution mixed;
  for (const int32_t token : tokens) {
    mixer.predict(network.distribution, mixed);
    bits.push_back(-static_cast<double>(mixed.log_prob(network.distribution, token)) / std::log(2));
    mixer.learn(token);
  }
  return bits;
}

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double standard_error(std::span<const double> values) {
  const double centre = mean(values), count = static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - centre) * (value - centre);
  return std::sqrt(squares / (count - 1) / count);
}

std::vector<MixConfig> every_mix_config() {
  std::vector<MixConfig> configs;
  for (const MixKind kind :
       {MixKind::kTilt, MixKind::kLinear, MixKind::kCascade, MixKind::kPpm, MixKind::kLogit}) {
    MixConfig config;
    config.kind = kind;
    config.cascade_buckets = 1 << 16;
    config.cascade_min_count = 1;
    configs.push_back(config);
  }
  MixConfig wild = configs.back();  // a gate that has gone astray is a distribution all the same
  wild.learn_rate = 1;
  configs.push_back(wild);
  return configs;
}

}  // namespace pg
