// Makes the streams that ans.h reads.
#pragma once
#include <vector>

#include "quant/coder/ans.h"
#include "src/base/bytes.h"

namespace pg {

// Takes symbols in decoding order, codes them in reverse at the end.
class AnsEncoder {
 public:
  // The interval [start, start + freq) of kAnsOne, then raw_bits (<= 16) raw bits.
  void put(int lane, uint32_t start, uint32_t freq, uint32_t raw, int raw_bits) {
    if (chunks_.empty() || chunks_.back().size() == kChunk) chunks_.emplace_back().reserve(kChunk);
    chunks_.back().push_back({static_cast<uint16_t>(start), static_cast<uint16_t>(freq),
                              static_cast<uint16_t>(raw), static_cast<uint8_t>(raw_bits),
                              static_cast<uint8_t>(lane)});
  }
  Bytes finish();

 private:
  struct Record {
    uint16_t start, freq, raw;
    uint8_t raw_bits, lane;
  };
  static constexpr size_t kChunk = 1 << 16;  // growing one vector would copy all of it
  std::vector<std::vector<Record>> chunks_;
};

}  // namespace pg
