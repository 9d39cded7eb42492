// The sides of the weight coder's one model: decoding here, pricing and encoding in encode/. Each
// symbol: token(), raw() as often as needed, end(). Encoders pass a value through, the decoder
// ignores what it is given. Internal to the weight coder.
#pragma once
#include <cstdint>
#include <span>

#include "quant/coder/adaptive_model.h"
#include "quant/coder/ans.h"

namespace pg {

class DecodeIo {
 public:
  explicit DecodeIo(std::span<const uint8_t> stream) : ans_(stream) {}
  int token(int lane, const AdaptiveModel& model, int /*token*/) {
    const int token = model.find(ans_.peek(lane));
    ans_.take(lane, model.start_of(token), model.freq_of(token));
    return token;
  }
  uint32_t raw(int lane, uint32_t /*value*/, int bits) { return ans_.take_raw(lane, bits); }
  void end(int lane) { ans_.refill(lane); }
  bool ok() const { return ans_.ok(); }
  void fail() { ans_.fail(); }
  bool finished() const { return ans_.finished(); }

 private:
  AnsDecoder ans_;
};

template <class Io>
int code_flat(Io& io, int value, int bits) {
  const uint32_t coded = io.raw(0, static_cast<uint32_t>(value), bits);
  io.end(0);
  return static_cast<int>(coded);
}

template <class Io>
int code_token(Io& io, AdaptiveModel& model, int token) {
  const int coded = io.token(0, model, token);
  io.end(0);
  model.count(coded);
  return coded;
}

}  // namespace pg
