// How each parameter is stored: the one routing rule that quantiser, forecast and projection share.
#pragma once
#include "quant/quant_config.h"
#include "src/plan/weights.h"

namespace pg {

constexpr int kHalfBits = 16;  // QuantTensor::bits of a tensor kept in fp16

// Largest code magnitude of b bits: symmetric, so that -q exists for every q.
constexpr int max_code(int bits) { return (1 << (bits - 1)) - 1; }

// Small tensors and vectors stay in fp16: they cost little and one scale for a whole vector would
// hurt most there.
inline int storage_bits(const ParamSpec& spec, const QuantConfig& quant) {
  if (spec.elements() <= quant.keep_fp16_elements || spec.rows == 1 || spec.cols == 1) {
    return kHalfBits;
  }
  return static_cast<int>(spec.group == ParamGroup::kEmbedding ? quant.embed_bits
                                                               : quant.matrix_bits);
}

}  // namespace pg
