#include "quant/coder/ans.h"

#include <algorithm>

namespace pg {
namespace {

uint64_t read_little_endian(const uint8_t* bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

}  // namespace

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

AnsDecoder::AnsDecoder(std::span<const uint8_t> stream) {
  constexpr size_t kHead = sizeof(uint64_t) * kAnsLanes;
  states_.fill(kAnsLow);
  ok_ = stream.size() >= kHead && stream.size() % sizeof(uint32_t) == 0;
  if (!ok_) return;
  for (size_t lane = 0; lane < kAnsLanes; ++lane) {
    states_[lane] = read_little_endian(stream.data() + lane * sizeof(uint64_t), 8);
    ok_ = ok_ && states_[lane] >= kAnsLow && states_[lane] >> 63 == 0;
  }
  next_ = stream.data() + kHead;
  end_ = stream.data() + stream.size();
}

uint32_t AnsDecoder::next_word() {
  if (next_ == end_) {
    ok_ = false;
    return 0;
  }
  const auto word = static_cast<uint32_t>(read_little_endian(next_, 4));
  next_ += sizeof(uint32_t);
  return word;
}

bool AnsDecoder::finished() const {
  return ok_ && next_ == end_ &&
         std::all_of(states_.begin(), states_.end(), [](uint64_t x) { return x == kAnsLow; });
}

}  // namespace pg
