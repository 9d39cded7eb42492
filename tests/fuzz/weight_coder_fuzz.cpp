// Fuzzes the weight decoder with any sequence of calls and any stream. What it accepts must be the
// one encoding of what it gave. Input: a byte that counts the calls (at most 16), four bytes a
// call, then the stream.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "quant/coder/weight_coder.h"

namespace {

struct Call {
  int kind = 0, role = 0, max_code = 1;  // kind: 0 codes, 1 scales, 2 values, 3 small codes
  pg::CodeShape shape;
  std::vector<int8_t> codes;
  std::vector<uint16_t> halves;
};

Call read_call(const uint8_t* bytes) {
  Call call;
  call.kind = bytes[0] & 3;
  call.role = bytes[0] >> 4;
  call.max_code = 1 + std::min(bytes[1] & 127, 126);
  call.shape = {.rows = bytes[2], .cols = bytes[3], .max_code = call.max_code};
  const size_t count = call.kind == 0 ? size_t{bytes[2]} * bytes[3] : bytes[2];
  call.codes.resize(call.kind == 0 || call.kind == 3 ? count : 0);
  call.halves.resize(call.kind == 1 || call.kind == 2 ? count : 0);
  return call;
}

bool decode(pg::WeightDecoder& decoder, Call& call) {
  if (call.kind == 0) return decoder.codes(call.shape, call.codes, call.role);
  if (call.kind == 3) return decoder.small_codes(call.codes, call.max_code, call.role);
  const auto kind = call.kind == 1 ? pg::HalfKind::kScales : pg::HalfKind::kValues;
  return decoder.halves(call.halves, kind, call.role);
}

void encode(pg::WeightEncoder& encoder, const Call& call) {
  if (call.kind == 0) return encoder.codes(call.shape, call.codes, call.role);
  if (call.kind == 3) return encoder.small_codes(call.codes, call.max_code, call.role);
  const auto kind = call.kind == 1 ? pg::HalfKind::kScales : pg::HalfKind::kValues;
  encoder.halves(call.halves, kind, call.role);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t calls = data[0] & 15;
  if (size < 1 + 4 * calls) return 0;
  const std::span<const uint8_t> stream(data + 1 + 4 * calls, size - 1 - 4 * calls);
  pg::WeightDecoder decoder(stream);
  std::vector<Call> done;
  for (size_t i = 0; i < calls; ++i) {
    done.push_back(read_call(data + 1 + 4 * i));
    if (!decode(decoder, done.back())) {
      if (!decoder.failed() || decoder.finish()) std::abort();
      return 0;
    }
  }
  if (!decoder.finish()) return 0;
  pg::WeightEncoder encoder;
  for (const Call& call : done) encode(encoder, call);
  const pg::Bytes again = encoder.finish();
  if (!std::ranges::equal(again, stream)) std::abort();
  return 0;
}
