// Recipe keys of quantisation and packing.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

struct QuantConfig {
  std::string steps = "sensitivity";
  std::string rounding = "gptq";
  bool fill_cap = true;
  int64_t matrix_bits = 6;
  int64_t mlp_bits = 6;
  int64_t embed_bits = 8;
  double scale_floor = 1e-10;
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
  int64_t cap_bytes = 16000000;
};

template <class Config, class Visit>
void visit_quant_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "steps",
                  .help = "how the steps are chosen: by each weight's effect on the loss, by the "
                          "row's standard deviation (SDClip, or its Hessian-aware form), by a clip "
                          "search (GPTQ-lite), by the row's largest weight, or three levels",
                  .choices = "sensitivity|sdclip|sdclip_hessian|gptq_lite_row|gptq_lite_matrix|"
                             "row_max|ternary"},
        c.steps);
  visit(FieldInfo{.key = "rounding",
                  .help = "to the nearest code, or with GPTQ's error feedback",
                  .choices = "nearest|gptq"},
        c.rounding);
  visit(FieldInfo{.key = "fill_cap",
                  .help = "scale all steps together until the artifact just fits quant.cap_bytes"},
        c.fill_cap);
  visit(FieldInfo{.key = "matrix_bits",
                  .help = "bits of matrix codes before entropy coding",
                  .unit = "bits",
                  .min = 2,
                  .max = 8},
        c.matrix_bits);
  visit(FieldInfo{.key = "mlp_bits",
                  .help = "bits of the MLP's codes before entropy coding",
                  .unit = "bits",
                  .min = 2,
                  .max = 8},
        c.mlp_bits);
  visit(FieldInfo{.key = "embed_bits",
                  .help = "bits of embedding-table codes before entropy coding",
                  .unit = "bits",
                  .min = 2,
                  .max = 8},
        c.embed_bits);
  visit(FieldInfo{.key = "scale_floor",
                  .help = "smallest step of the GPTQ-lite methods; the records up to 2026-03-31 "
                          "used 1/31",
                  .min = 1e-12,
                  .max = 1},
        c.scale_floor);
  visit(FieldInfo{.key = "matrix_clip_sigmas",
                  .help = "SDClip: largest code in standard deviations of the row",
                  .unit = "sigma",
                  .min = 0.1,
                  .max = 1000},
        c.matrix_clip_sigmas);
  visit(FieldInfo{.key = "mlp_clip_sigmas",
                  .help = "SDClip: the same for the MLP",
                  .unit = "sigma",
                  .min = 0.1,
                  .max = 1000},
        c.mlp_clip_sigmas);
  visit(FieldInfo{.key = "embed_clip_sigmas",
                  .help = "SDClip: the same for embedding tables",
                  .unit = "sigma",
                  .min = 0.1,
                  .max = 1000},
        c.embed_clip_sigmas);
  visit(FieldInfo{.key = "hessian_lambda",
                  .help = "how far sdclip_hessian moves a row's step by its importance",
                  .min = 0,
                  .max = 1},
        c.hessian_lambda);
  visit(FieldInfo{.key = "damping",
                  .help = "GPTQ: share of the mean diagonal that is added to the Hessian's",
                  .min = 1e-6,
                  .max = 1},
        c.damping);
  visit(FieldInfo{.key = "calibration_tokens",
                  .help = "training tokens that the Hessians are measured on; their time counts as "
                          "training",
                  .unit = "tokens",
                  .min = 1,
                  .max = 1 << 28},
        c.calibration_tokens);
  visit(FieldInfo{.key = "keep_fp16_elements",
                  .help = "tensors with at most this many elements are stored in fp16",
                  .unit = "elements",
                  .min = 0,
                  .max = 1 << 20},
        c.keep_fp16_elements);
  visit(FieldInfo{.key = "sort_hidden",
                  .help = "order each MLP's hidden units by their steps, which costs nothing and "
                          "packs better"},
        c.sort_hidden);
  visit(FieldInfo{.key = "lqer_rank",
                  .help = "rank of the low-rank correction (LQER); 0 switches it off",
                  .min = 0,
                  .max = 16},
        c.lqer_rank);
  visit(FieldInfo{.key = "lqer_tensors",
                  .help = "matrices that LQER corrects: those with the largest error",
                  .min = 0,
                  .max = 1000},
        c.lqer_tensors);
  visit(FieldInfo{.key = "lqer_group",
                  .help = "numbers of the right factor that share a scale",
                  .min = 1,
                  .max = 255},
        c.lqer_group);
  visit(FieldInfo{.key = "awq_group",
                  .help = "AWQ-lite: int8 for the 64 input columns that matter most"},
        c.awq_group);
  visit(FieldInfo{.key = "cap_bytes",
                  .help = "largest allowed artifact, code included",
                  .unit = "bytes",
                  .min = 1,
                  .max = 1e12},
        c.cap_bytes);
}

}  // namespace pg
