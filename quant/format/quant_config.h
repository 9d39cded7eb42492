// Recipe keys of quantisation and packing.
#pragma once
#include <cstdint>

#include "src/base/field.h"

namespace pg {

enum class ScaleRule : uint8_t {
  kSensitivity,     // by each weight's effect on the loss
  kSdClip,          // by the row's standard deviation
  kSdClipHessian,   // by that and the row's importance
  kGptqLiteRow,     // by a clip search for each row
  kGptqLiteMatrix,  // by one for the matrix
  kRowMax,          // by the row's largest weight, or a quantile of its magnitudes
  kTernary,         // three levels
};
template <>
inline constexpr auto kChoiceNames<ScaleRule> = name_choices("sensitivity", "sdclip",
                                                             "sdclip_hessian", "gptq_lite_row",
                                                             "gptq_lite_matrix", "row_max",
                                                             "ternary");

constexpr bool is_clip_search(ScaleRule rule) {
  return rule == ScaleRule::kGptqLiteRow || rule == ScaleRule::kGptqLiteMatrix;
}

enum class Rounding : uint8_t { kNearest, kGptq };
template <>
inline constexpr auto kChoiceNames<Rounding> = name_choices("nearest", "gptq");

// Coder (quant/coder/weight_source.h), or the one that leaves the smallest artifact, code included.
enum class CoderChoice : uint8_t { kOwn, kZstd, kLzma, kAuto };
template <>
inline constexpr auto kChoiceNames<CoderChoice> = name_choices("own", "zstd", "lzma", "auto");

struct QuantConfig {
  ScaleRule scales = ScaleRule::kSensitivity;
  Rounding rounding = Rounding::kGptq;
  bool fill_cap = true;
  int64_t matrix_bits = 6;
  int64_t mlp_bits = 6;
  int64_t embed_bits = 8;
  double matrix_clip_sigmas = 13.0;
  double mlp_clip_sigmas = 11.5;
  double embed_clip_sigmas = 20.0;
  double hessian_lambda = 0.175;
  double damping = 0.01;
  int64_t calibration_tokens = 65536;
  int64_t keep_fp16_elements = 8192;
  bool sort_hidden = true;
  int64_t lqer_rank = 0;
  int64_t lqer_tensors = 3;
  int64_t lqer_group = 64;
  bool awq_group = false;
  double row_max_quantile = 1.0;
  double embed_row_max_quantile = 1.0;
  // Not auto, which packs by all three to find what is known: ours is the smallest by some percent,
  // and the others take seconds for each megabyte.
  CoderChoice coder = CoderChoice::kOwn;
  bool gradient_bits = false;
  int64_t cap_bytes = 16000000;
};

// <train_gpt>
// Null, or why quant.gradient_bits has nothing to choose, and how to mend it.
constexpr const char* find_gradient_bits_problem(const QuantConfig& quant) {
  if (!quant.gradient_bits) return nullptr;
  if (quant.scales == ScaleRule::kSensitivity || quant.scales == ScaleRule::kTernary) {
    return "quant.gradient_bits is on, but quant.scales \"sensitivity\" and \"ternary\" leave it "
           "no bits to "
           "choose; take \"sdclip\", \"row_max\" or a gptq_lite form, or gradient_bits = false";
  }
  for (const int64_t bits : {quant.matrix_bits, quant.mlp_bits}) {
    if (bits > 2 && bits < 8) continue;
    return "quant.gradient_bits takes a bit more and one less than quant.matrix_bits and "
           "quant.mlp_bits, "
           "which codes of 2 to 8 bits must have room for; give both of 3 to 7, or gradient_bits = "
           "false";
  }
  return nullptr;
}

// Whether the grid follows from the weights alone: without statistics of training text and without a search
// for the scales that fill the cap. Then each step of a training can round to it.
constexpr bool has_grid_of_weights_alone(const QuantConfig& quant) {
  return !quant.fill_cap && !quant.gradient_bits && quant.scales != ScaleRule::kSensitivity &&
         quant.scales != ScaleRule::kSdClipHessian;
}
// </train_gpt>

}  // namespace pg
