#include "eval/code/arithmetic_coder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/base/simd_math.h"

namespace pg {
namespace {

constexpr int64_t kMostTokens = 65536;
// What fp32 may make of a sum of probabilities, in 2^-24: 4e-6.
constexpr int64_t kSumTolerance = 64;

}  // namespace

void FrequencyTable::assign(const TokenDistribution& distribution) {
  const int64_t vocab = distribution.vocab_size();
  PG_CHECK(vocab > 0 && vocab <= kMostTokens, "a vocabulary that has frequencies");
  begins_.resize(static_cast<size_t>(vocab) + 1);
  const auto scale = static_cast<float>(kFrequencyTotal - static_cast<uint32_t>(vocab));
  // begins_[a + 1] holds freq(a) until the sums are made.
  int64_t sum = 0;
  size_t likeliest = 0;
  for (size_t a = 0; a < static_cast<size_t>(vocab); ++a) {
    const float log_prob = distribution.log_prob(static_cast<int32_t>(a));
    if (!(log_prob <= 1e-5f)) {
      throw Error(fmt::format(
          "log probability of token {} is not that of a probability: {} nats; the weights are "
          "broken, pack another checkpoint",
          a, log_prob));
    }
    begins_[a + 1] = 1 + static_cast<uint32_t>(exp_simd(log_prob) * scale);
    sum += begins_[a + 1];
    if (begins_[a + 1] > begins_[likeliest + 1]) likeliest = a;
  }
  // Roundings alone leave less than 1 a token, and a few of fp32 on the total.
  const int64_t rest = int64_t{kFrequencyTotal} - sum;
  if (rest < -kSumTolerance || rest > vocab + kSumTolerance) {
    throw Error(
        fmt::format("probabilities do not add up to 1: {} of 2^24 are missing; this mixture "
                    "of predictors is not a distribution",
                    rest));
  }
  begins_[likeliest + 1] += static_cast<uint32_t>(rest);
  begins_[0] = 0;
  for (size_t a = 0; a < static_cast<size_t>(vocab); ++a) begins_[a + 1] += begins_[a];
  PG_CHECK(begins_.back() == kFrequencyTotal, "frequencies add up to their total");
}

FrequencyShare FrequencyTable::share(int32_t token) const {
  const auto a = static_cast<size_t>(token);
  PG_CHECK(token >= 0 && a + 1 < begins_.size(), "a token of the vocabulary");
  return {.begin = begins_[a], .size = begins_[a + 1] - begins_[a]};
}

int32_t FrequencyTable::find(uint32_t value) const {
  PG_CHECK(value < kFrequencyTotal, "a value below the total");
  const auto after = std::upper_bound(begins_.begin(), begins_.end(), value);
  return static_cast<int32_t>(after - begins_.begin()) - 1;
}

uint64_t FrequencyTable::hash() const {
  uint64_t hash = kFnvOffset;
  for (const uint32_t begin : begins_) {
    const uint8_t bytes[] = {static_cast<uint8_t>(begin), static_cast<uint8_t>(begin >> 8),
                             static_cast<uint8_t>(begin >> 16), static_cast<uint8_t>(begin >> 24)};
    hash = fnv1a(bytes, hash);
  }
  return hash;
}

ArithmeticDecoder::ArithmeticDecoder(std::span<const uint8_t> bytes) : bytes_(bytes) {
  for (size_t i = 0; i < kBytesAhead; ++i) code_ = code_ << 8 | next_byte();
}

uint32_t ArithmeticDecoder::peek() const {
  const uint64_t value = code_ / (range_ >> kFrequencyBits);
  // The rest of the division of the range belongs to nobody; an encoder never points there.
  return static_cast<uint32_t>(std::min<uint64_t>(value, kFrequencyTotal - 1));
}

void ArithmeticDecoder::take(FrequencyShare share) {
  const uint64_t part = range_ >> kFrequencyBits;
  code_ -= part * share.begin;
  range_ = part * share.size;
  // Bytes of no encoder may point behind the last share.
  code_ = std::min(code_, range_ - 1);
  while (range_ < kLeastRange) {
    code_ = code_ << 8 | next_byte();
    range_ <<= 8;
  }
}

}  // namespace pg
