// From bytes back to tokens by their probabilities: an arithmetic coder over integer frequencies, a
// range coder with carry (Martin 1979). The other side is encode/arithmetic_encoder.h.
//
// The rule that makes frequencies of a distribution, for both sides (total 2^24, V tokens):
//   freq(a) = 1 + floor(p(a) (2^24 - V)), and what is missing to the total goes to the first of the
//   likeliest tokens.
// So every token can be coded, and one of probability p costs at most log2(1 / p) + V 2^-24 / ln 2
// + 2^-24 / (p ln 2) bits or so: 1e-4 bits for V = 1024 and likely tokens.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/scorer.h"
#include "src/base/bytes.h"
#include "src/base/result.h"

namespace pg {

inline constexpr int kFrequencyBits = 24;
inline constexpr uint32_t kFrequencyTotal = 1u << kFrequencyBits;
// The interval starts with this length and never gets shorter than the other, so cutting it into
// 2^24 parts loses less than 2^-24 of a token's share.
inline constexpr uint64_t kWholeRange = uint64_t{1} << 56, kLeastRange = uint64_t{1} << 48;

// The share [begin, begin + size) of kFrequencyTotal that a token has.
struct FrequencyShare {
  uint32_t begin = 0, size = 0;
};

class FrequencyTable {
 public:
  // Throws Error when the probabilities do not add up to 1.
  void assign(const TokenDistribution& distribution);
  FrequencyShare share(int32_t token) const;
  // The token whose share holds `value` < kFrequencyTotal.
  int32_t find(uint32_t value) const;
  int64_t vocab_size() const { return static_cast<int64_t>(begins_.size()) - 1; }
  uint64_t hash() const;

 private:
  std::vector<uint32_t> begins_;  // [vocab + 1], ascending, from 0 to kFrequencyTotal
};

// Reads bytes that need not be an encoder's: any bytes give some tokens.
class ArithmeticDecoder {
 public:
  explicit ArithmeticDecoder(std::span<const uint8_t> bytes);
  // Which value of kFrequencyTotal is next; then the share it lies in must be taken.
  uint32_t peek() const;
  void take(FrequencyShare share);
  // Whether it has read further than behind an encoder's last token.
  bool is_past_end() const { return position_ > bytes_.size() + kBytesLeftOut; }
  // Whether it stands where it does behind an encoder's last token.
  bool is_at_end() const { return position_ == bytes_.size() + kBytesLeftOut; }
  // <train_gpt>
  size_t bytes_read() const { return position_; }
  // </train_gpt>

 private:
  static constexpr size_t kBytesAhead = 7;
  // The encoder ends with one byte of those that the decoder looks ahead.
  static constexpr size_t kBytesLeftOut = kBytesAhead - 1;
  uint8_t next_byte() {
    const uint8_t byte = position_ < bytes_.size() ? bytes_[position_] : uint8_t{0};
    ++position_;
    return byte;
  }

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  uint64_t code_ = 0;  // the coded number less the interval's begin
  uint64_t range_ = kWholeRange;
};

}  // namespace pg
