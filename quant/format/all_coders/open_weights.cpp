#include "quant/coder/weight_coder.h"
#include "quant/format/packed/packed_weights.h"

namespace pg {

std::unique_ptr<WeightSource> open_weights(const ArtifactHeader& header,
                                           std::span<const uint8_t> stream) {
  if (header.coder == Coder::kOwn) return std::make_unique<WeightDecoder>(stream);
  return open_packed(header.coder == Coder::kZstd ? unpack_zstd : unpack_lzma, header.forms,
                     stream);
}

}  // namespace pg
