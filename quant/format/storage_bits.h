// How each parameter is stored: the one routing rule that quantiser, forecast and projection share.
#pragma once
#include "quant/format/code_limits.h"
#include "quant/format/quant_config.h"
#include "src/plan/weights.h"

namespace pg {

inline bool is_mlp(const ParamSpec& spec) {
  // <parts>
  if (spec.place.role == ParamRole::kGate) return true;
  // </parts>
  return spec.place.role == ParamRole::kUp || spec.place.role == ParamRole::kDown;
}

// Small tensors and vectors stay in fp16: they cost little and one scale for a whole vector would
// hurt most there.
inline int storage_bits(const ParamSpec& spec, const QuantConfig& quant) {
  if (spec.elements() <= quant.keep_fp16_elements || spec.rows == 1 || spec.cols == 1) {
    return kHalfBits;
  }
  // <parts>
  // As published; a few rows that all positions read, a few weights that scale whole heads or streams.
  if (spec.group == ParamGroup::kMemory) return kHalfBits;
  if (spec.place.role == ParamRole::kHeadGate || spec.place.role == ParamRole::kMuddStream ||
      spec.place.role == ParamRole::kMuddValue) {
    return kHalfBits;
  }
  if (spec.group == ParamGroup::kHead) return static_cast<int>(quant.embed_bits);
  // </parts>
  if (spec.group == ParamGroup::kEmbedding) return static_cast<int>(quant.embed_bits);
  return static_cast<int>(is_mlp(spec) ? quant.mlp_bits : quant.matrix_bits);
}

// SDClip's largest code in standard deviations of the row.
inline double clip_sigmas(const ParamSpec& spec, const QuantConfig& quant) {
  // <parts>
  if (spec.group == ParamGroup::kHead) return quant.embed_clip_sigmas;
  // </parts>
  if (spec.group == ParamGroup::kEmbedding) return quant.embed_clip_sigmas;
  return is_mlp(spec) ? quant.mlp_clip_sigmas : quant.matrix_clip_sigmas;
}

}  // namespace pg
