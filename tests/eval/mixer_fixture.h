// Streams and stand-in networks for the tests of the mixers.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/mix/mix_config.h"
#include "eval/mix/token_mixer.h"

namespace pg {

std::vector<int32_t> make_uniform_tokens(size_t size, int64_t vocab_size, uint64_t seed);
// P(rank r) proportional to 1 / (r + 1).
std::vector<int32_t> make_zipf_tokens(size_t size, int64_t vocab_size, uint64_t seed);
// Copies of earlier pieces with a new token here and there.
std::vector<int32_t> make_repetitive_tokens(size_t size, int64_t vocab_size, uint64_t seed);

// Logits [V] with their normaliser and entropy.
struct StandInNetwork {
  std::vector<float> logits;
  NetworkDistribution distribution;
  void finish();  // normaliser and entropy of logits
};
StandInNetwork make_uniform_network(int64_t vocab_size);
// Normal logits of this spread; `favourite`, when it is a token, gets `boost` more.
StandInNetwork make_random_network(int64_t vocab_size, double spread, int32_t favourite,
                                   double boost, uint64_t seed);

// Bits of each token under the mixer, with one network for all positions.
std::vector<double> score_bits(TokenMixer& mixer, const StandInNetwork& network,
                               std::span<const int32_t> tokens);
double mean(std::span<const double> values);
// Of the mean of the values.
double standard_error(std::span<const double> values);

// One config for each kind that changes anything.
std::vector<MixConfig> every_mix_config();

}  // namespace pg
