// A range coder with carry (Martin 1979; the byte queue as in LZMA) on 56 bits: the interval never
// gets shorter than 2^48, so cutting it into 2^24 parts loses less than 2^-24 of a token's share.
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

constexpr uint64_t kTop = uint64_t{1} << 56;
constexpr uint64_t kLeastRange = uint64_t{1} << 48;
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

void ArithmeticEncoder::encode(FrequencyShare share) {
  PG_CHECK(share.size > 0 && share.begin <= kFrequencyTotal - share.size, "a share of the total");
  const uint64_t part = range_ >> kFrequencyBits;
  low_ += part * share.begin;
  range_ = part * share.size;
  while (range_ < kLeastRange) {
    shift_byte();
    range_ <<= 8;
  }
}

// Moves the topmost byte of low_ out. A byte waits until no carry can reach it any more.
void ArithmeticEncoder::shift_byte() {
  const auto byte = static_cast<int>((low_ >> 48) & 0xff);
  const bool carry = (low_ & kTop) != 0;
  if (byte == 0xff && !carry) {
    ++pending_ones_;
  } else {
    const int add = carry ? 1 : 0;
    if (pending_byte_ >= 0) out_.push_back(static_cast<uint8_t>(pending_byte_ + add));
    for (; pending_ones_ > 0; --pending_ones_) out_.push_back(carry ? 0x00 : 0xff);
    pending_byte_ = byte;
  }
  low_ = (low_ & (kLeastRange - 1)) << 8;
}

Bytes ArithmeticEncoder::finish() {
  // The interval is at least 2^48 long, so it holds a multiple of 2^48: one byte and then zeros,
  // which a decoder reads past the end anyway.
  low_ = (low_ + kLeastRange - 1) & ~(kLeastRange - 1);
  shift_byte();
  if (pending_byte_ >= 0) out_.push_back(static_cast<uint8_t>(pending_byte_));
  out_.insert(out_.end(), static_cast<size_t>(pending_ones_), uint8_t{0xff});
  return std::move(out_);
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
