// The sides of the weight coder's model that make a stream, or its price. Internal to the weight
// coder.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "quant/coder/adaptive_model.h"
#include "quant/coder/encode/ans_encoder.h"
#include "src/base/exact_math.h"

namespace pg {

// -log2 p of each frequency, in 2^-16 bits: for prices only, no bit of a stream depends on it.
inline const std::vector<uint32_t>& price_of_freq() {
  static const std::vector<uint32_t> prices = [] {
    std::vector<uint32_t> made(kAnsOne + 1);
    for (size_t f = 1; f < made.size(); ++f) {
      made[f] =
          static_cast<uint32_t>(std::lround((kAnsBits - log2_f64(static_cast<double>(f))) * 65536));
    }
    return made;
  }();
  return prices;
}

class PriceIo {
 public:
  int token(int lane, const AdaptiveModel& model, int token) {
    price_[lane] += table_[model.freq_of(token)];
    return token;
  }
  uint32_t raw(int lane, uint32_t value, int bits) {
    price_[lane] += static_cast<uint32_t>(bits) << 16;
    return value;
  }
  void end(int /*lane*/) {}
  bool ok() const { return true; }
  void fail() {}
  double bytes() const {
    double sum = 0;
    for (const uint64_t price : price_) sum += static_cast<double>(price);
    return sum / (8 * 65536);
  }

 private:
  const uint32_t* table_ = price_of_freq().data();
  std::array<uint64_t, kAnsLanes> price_ = {};  // a lane each: additions need not wait
};

class EncodeIo {
 public:
  int token(int lane, const AdaptiveModel& model, int token) {
    start_ = model.start_of(token);
    freq_ = model.freq_of(token);
    return price_.token(lane, model, token);
  }
  uint32_t raw(int lane, uint32_t value, int bits) {
    raw_ |= value << raw_bits_;
    raw_bits_ += bits;
    return price_.raw(lane, value, bits);
  }
  void end(int lane) {
    ans_.put(lane, start_, freq_, raw_, raw_bits_);
    start_ = raw_ = 0;
    freq_ = kAnsOne;
    raw_bits_ = 0;
  }
  bool ok() const { return true; }
  void fail() {}
  double bytes() const { return price_.bytes(); }
  Bytes finish() { return ans_.finish(); }

 private:
  AnsEncoder ans_;
  PriceIo price_;
  uint32_t start_ = 0, freq_ = kAnsOne, raw_ = 0;
  int raw_bits_ = 0;
};

}  // namespace pg
