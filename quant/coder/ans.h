// Four interleaved range-ANS states (Duda, arXiv 1311.2540): 64-bit states, 32-bit renormalisation,
// 15-bit probabilities. A symbol is an interval of a table followed by raw bits.
//
// Canonical: with b = 2^32, L = 2^31 and states in [L, bL), a symbol of probability f / 2^n (n <=
// 31, raw bits included) maps the states of [f L / 2^n, f bL / 2^n) one to one into [L, bL). Each
// decoding step is therefore undone by exactly one encoding step, and a stream that decodes to
// given symbols, uses all its words and ends in states L is the only one that does.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "src/base/bytes.h"

namespace pg {

constexpr int kAnsLanes = 4;  // independent states hide each other's latency
constexpr int kAnsBits = 15;  // of a probability
constexpr uint32_t kAnsOne = 1u << kAnsBits;
constexpr uint64_t kAnsLow = uint64_t{1} << 31;

// Hostile input: past the end it reads zeros and fails for good.
class AnsDecoder {
 public:
  explicit AnsDecoder(std::span<const uint8_t> stream);

  uint32_t peek(int lane) const { return static_cast<uint32_t>(states_[lane]) & (kAnsOne - 1); }
  // Drops the interval that holds peek().
  void take(int lane, uint32_t start, uint32_t freq) {
    states_[lane] = freq * (states_[lane] >> kAnsBits) + peek(lane) - start;
  }
  uint32_t take_raw(int lane, int bits) {
    const auto raw = static_cast<uint32_t>(states_[lane]) & ((1u << bits) - 1);
    states_[lane] >>= bits;
    return raw;
  }
  // After each symbol's interval and raw bits.
  void refill(int lane) {
    if (states_[lane] < kAnsLow) states_[lane] = states_[lane] << 32 | next_word();
  }
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool finished() const;

 private:
  uint32_t next_word();
  std::array<uint64_t, kAnsLanes> states_ = {};
  const uint8_t* next_ = nullptr;
  const uint8_t* end_ = nullptr;
  bool ok_ = true;
};

}  // namespace pg
