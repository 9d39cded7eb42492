#include "quant/coder/weight_priors.h"

#include <algorithm>

namespace pg {
namespace {

// Magnitudes a with weights x^(a^2) (a discrete Gaussian), x in 2^-32: sums of the weights, of
// weight times a, and the weights per token, all counting both signs.
struct GaussianSums {
  uint64_t weights = 0, magnitudes = 0;
  std::array<uint64_t, kTokens> tokens = {};
};

GaussianSums sum_gaussian(uint64_t x, int shift) {
  GaussianSums sums;
  uint64_t weight = uint64_t{1} << 31, ratio = x;
  const uint64_t ratio_step = x * x >> 32;
  for (uint64_t a = 0; a < 512 && weight > 0; ++a) {
    const uint64_t both = a == 0 ? weight : 2 * weight;
    sums.weights += both;
    sums.magnitudes += a * both;
    sums.tokens[std::min<uint64_t>(a >> shift, kEscape)] += both;
    weight = weight * ratio >> 32;
    ratio = ratio * ratio_step >> 32;
  }
  return sums;
}

// The Gaussian whose mean magnitude is the middle of the context.
TokenPrior make_prior(int context) {
  const int middle_log = kLowestLog + context * (64 / kContextsPerOctave) + 4;
  const uint64_t mean_256 = static_cast<uint64_t>(64 + (middle_log & 63)) << (middle_log >> 6) >> 6;
  uint64_t x = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit > 0; bit >>= 1) {
    const GaussianSums sums = sum_gaussian(x | bit, 0);
    if (sums.magnitudes * 256 <= sums.weights * mean_256) x |= bit;
  }
  const GaussianSums sums = sum_gaussian(x, kTokenShift[static_cast<size_t>(context)]);
  TokenPrior prior;
  for (size_t t = 0; t < prior.size(); ++t) {
    prior[t] = static_cast<uint32_t>(sums.tokens[t] * AdaptiveModel::kPriorSymbols *
                                     AdaptiveModel::kCountUnit / sums.weights);
  }
  return prior;
}

}  // namespace

const std::vector<TokenPrior>& context_priors() {
  static const std::vector<TokenPrior> priors = [] {
    std::vector<TokenPrior> made;
    for (int context = 0; context < kContexts; ++context) made.push_back(make_prior(context));
    return made;
  }();
  return priors;
}

}  // namespace pg
