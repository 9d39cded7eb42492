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
