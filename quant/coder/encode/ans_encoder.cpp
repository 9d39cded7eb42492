#include "quant/coder/encode/ans_encoder.h"

namespace pg {

Bytes AnsEncoder::finish() {
  std::array<uint64_t, kAnsLanes> states;
  states.fill(kAnsLow);
  std::vector<uint32_t> words;  // last first
  while (!chunks_.empty()) {
    const std::vector<Record>& chunk = chunks_.back();
    for (size_t i = chunk.size(); i-- > 0;) {
      const Record& r = chunk[i];
      uint64_t& x = states[r.lane];
      if (x >= static_cast<uint64_t>(r.freq) << (63 - kAnsBits - r.raw_bits)) {
        words.push_back(static_cast<uint32_t>(x));
        x >>= 32;
      }
      x = x << r.raw_bits | r.raw;
      x = (x / r.freq << kAnsBits) + x % r.freq + r.start;
    }
    chunks_.pop_back();
  }
  ByteWriter out;
  for (const uint64_t state : states) out.u64(state);
  for (size_t i = words.size(); i-- > 0;) out.u32(words[i]);
  return out.take();
}

}  // namespace pg
