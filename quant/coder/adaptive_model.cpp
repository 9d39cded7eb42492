#include "quant/coder/adaptive_model.h"

#include <algorithm>

namespace pg {

void AdaptiveModel::start(int tokens, std::span<const uint32_t> prior) {
  tokens_ = tokens;
  counts_.fill(0);
  for (size_t t = 0; t < static_cast<size_t>(tokens); ++t) counts_[t] = prior[t] + 1;
  interval_ = kFirstInterval / 2;
  rebuild();
}

void AdaptiveModel::start_uniform(int tokens) {
  std::array<uint32_t, kTokens> prior;
  prior.fill(kCountUnit / 2 - 1);
  start(tokens, prior);
}

void AdaptiveModel::rebuild() {
  uint32_t total = 0;
  for (const uint32_t c : counts_) total += c;
  if (total > kHalveAbove) {
    total = 0;
    for (int t = 0; t < tokens_; ++t) total += counts_[t] = (counts_[t] + 1) / 2;
  }
  // Every token keeps one unit; what rounding leaves goes to the likeliest.
  const uint32_t shared = kAnsOne - static_cast<uint32_t>(tokens_);
  const uint64_t scale = (uint64_t{shared} << 32) / total;
  std::array<uint32_t, kTokens> freq = {};
  uint32_t used = 0;
  for (int t = 0; t < tokens_; ++t) {
    freq[t] = 1 + static_cast<uint32_t>(counts_[t] * scale >> 32);
    used += freq[t];
  }
  *std::max_element(freq.begin(), freq.end()) += kAnsOne - used;
  uint32_t sum = 0;
  for (int t = 0; t < kTokens; ++t) {
    cumulative_[t] = static_cast<uint16_t>(sum);
    sum += freq[t];
  }
  cumulative_[kTokens] = kAnsOne;
  uint8_t token = 0;
  for (uint32_t b = 0; b < first_token_.size(); ++b) {
    while (cumulative_[token + 1] <= b * kBucket) ++token;
    first_token_[b] = token;
  }
  interval_ = std::min(2 * interval_, kLastInterval);
  until_rebuild_ = interval_;
}

}  // namespace pg
