#include "quant/format/packed/packed_weights.h"

namespace pg {

std::unique_ptr<WeightSource> open_weights(const ArtifactHeader& header,
                                           std::span<const uint8_t> stream) {
  return header.coder == Coder::kZstd ? open_packed(unpack_zstd, header.forms, stream) : nullptr;
}

}  // namespace pg
