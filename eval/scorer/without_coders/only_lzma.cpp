#include "quant/format/packed/packed_weights.h"

namespace pg {

std::unique_ptr<WeightSource> open_weights(const ArtifactHeader& header,
                                           std::span<const uint8_t> stream) {
  return header.coder == Coder::kLzma ? open_packed(unpack_lzma, header.forms, stream) : nullptr;
}

}  // namespace pg
