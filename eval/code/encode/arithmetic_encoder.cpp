// The byte queue that a carry may still change is LZMA's.
#include "eval/code/encode/arithmetic_encoder.h"

#include <utility>

#include "src/base/check.h"

namespace pg {

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
  const bool carry = (low_ & kWholeRange) != 0;
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

}  // namespace pg
