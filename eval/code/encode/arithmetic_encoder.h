// The encoder to arithmetic_coder.h: what a scorer that only decodes can do without.
#pragma once
#include <cstdint>

#include "eval/code/arithmetic_coder.h"
#include "src/base/bytes.h"

namespace pg {

class ArithmeticEncoder {
 public:
  void encode(FrequencyShare share);
  // The bytes, as few as tell the last interval; the encoder is spent.
  Bytes finish();

 private:
  void shift_byte();

  Bytes out_;
  uint64_t low_ = 0;  // 57 bits: the interval's begin and, in bit 56, a carry
  uint64_t range_ = kWholeRange;
  // Bytes that a carry may still change: one, then so many of 0xff.
  int pending_byte_ = -1;
  int64_t pending_ones_ = 0;
};

}  // namespace pg
