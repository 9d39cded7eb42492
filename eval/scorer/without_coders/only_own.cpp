// Each scorer is built with one coder's sources; these are what it does without quant/format/all_coders.
#include "quant/coder/weight_coder.h"
#include "quant/format/artifact_format.h"

namespace pg {

std::unique_ptr<WeightSource> open_weights(const ArtifactHeader& header,
                                           std::span<const uint8_t> stream) {
  return header.coder == Coder::kOwn ? std::make_unique<WeightDecoder>(stream) : nullptr;
}

}  // namespace pg
