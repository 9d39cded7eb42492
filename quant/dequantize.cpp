// Codes back to fp32. Apart from quantize.cpp because a decoder needs this and not the quantiser.
#include "quant/artifact.h"
#include "quant/half.h"
#include "quant/storage_bits.h"
#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {

// A code of at most 8 bits times an 11-bit scale fits in 24 bits: the product is exact, whatever
// the machine.
HostTensor dequantize(const QuantTensor& tensor, const ParamSpec& spec) {
  PG_CHECK(tensor.rows == spec.rows && tensor.cols == spec.cols, "tensor does not match its spec");
  HostTensor out{.spec = spec, .values = std::vector<float>(static_cast<size_t>(spec.elements()))};
  float* values = out.values.data();
  parallel_ranges(tensor.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t from = r * tensor.cols, to = from + tensor.cols;
      if (tensor.bits == kHalfBits) {
        const uint16_t* halves = tensor.halves.data();
        for (int64_t i = from; i < to; ++i) values[i] = float_from_half(halves[i]);
      } else {
        const int8_t* codes = tensor.codes.data();
        const float scale = float_from_half(tensor.halves[static_cast<size_t>(r)]);
        for (int64_t i = from; i < to; ++i) values[i] = static_cast<float>(codes[i]) * scale;
      }
    }
  });
  return out;
}

}  // namespace pg
