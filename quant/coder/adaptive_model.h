// An adaptive distribution over up to 32 tokens, in integers only, and the prior it starts from.
// Internal to the weight coder.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "quant/coder/ans.h"

namespace pg {

constexpr int kTokens = 32;

// Counts are gathered at once, the table follows at growing intervals, so that a symbol costs an
// increment and decoding a few comparisons.
class alignas(64) AdaptiveModel {
 public:
  // Tokens [0, tokens), first counted as in `prior` (units of 1 / kCountUnit symbols).
  void start(int tokens, std::span<const uint32_t> prior);
  void start_uniform(int tokens);  // each counted half a symbol, which learns fast
  bool started() const { return tokens_ > 0; }

  uint32_t start_of(int token) const { return cumulative_[token]; }
  uint32_t freq_of(int token) const { return cumulative_[token + 1] - cumulative_[token]; }
  // The token whose interval holds `slot` < kAnsOne: the first one of the slot's bucket, mostly.
  int find(uint32_t slot) const {
    int token = first_token_[slot / kBucket];
    while (cumulative_[token + 1] <= slot) ++token;
    return token;
  }
  void count(int token) {
    counts_[token] += kCountUnit;
    if (--until_rebuild_ == 0) rebuild();
  }

  static constexpr uint32_t kCountUnit = 16;
  static constexpr uint32_t kPriorSymbols = 128;

 private:
  static constexpr int kFirstInterval = 4, kLastInterval = 1024;
  static constexpr uint32_t kHalveAbove = kCountUnit << 15;  // symbols: older ones count half

  static constexpr uint32_t kBucket = 256;  // slots

  void rebuild();

  std::array<uint16_t, kTokens + 1> cumulative_ = {};
  int until_rebuild_ = 0, interval_ = 0, tokens_ = 0;
  std::array<uint32_t, kTokens> counts_ = {};
  std::array<uint8_t, kAnsOne / kBucket> first_token_ = {};
};

}  // namespace pg
