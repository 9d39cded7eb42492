// Recipe keys of quantisation and packing.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

struct QuantConfig {
  std::string method = "gptq_lite_row";
  int64_t matrix_bits = 6;
  int64_t embed_bits = 8;
  double scale_floor = 1e-10;
  int64_t keep_fp16_elements = 8192;
  std::string compressor = "best";
  int64_t cap_bytes = 16000000;
};

template <class Config, class Visit>
void visit_quant_fields(Config& c, Visit&& visit) {
  visit(
      FieldInfo{.key = "method",
                .help = "clip search: one percentile per matrix, as published, or the best per row",
                .choices = "gptq_lite_matrix|gptq_lite_row"},
      c.method);
  visit(FieldInfo{.key = "matrix_bits",
                  .help = "bits of matrix codes before entropy coding",
                  .unit = "bits",
                  .min = 2,
                  .max = 8},
        c.matrix_bits);
  visit(FieldInfo{.key = "embed_bits",
                  .help = "bits of embedding-table codes before entropy coding",
                  .unit = "bits",
                  .min = 2,
                  .max = 8},
        c.embed_bits);
  visit(FieldInfo{.key = "scale_floor",
                  .help = "smallest quantisation step; the records up to 2026-03-31 used 1/31",
                  .min = 1e-12,
                  .max = 1},
        c.scale_floor);
  visit(FieldInfo{.key = "keep_fp16_elements",
                  .help = "tensors with at most this many elements are stored in fp16",
                  .unit = "elements",
                  .min = 0,
                  .max = 1 << 20},
        c.keep_fp16_elements);
  visit(FieldInfo{.key = "compressor",
                  .help = "entropy stage; best keeps the smaller of both",
                  .choices = "best|zstd|lzma"},
        c.compressor);
  visit(FieldInfo{.key = "cap_bytes",
                  .help = "largest allowed artifact, code included",
                  .unit = "bytes",
                  .min = 1,
                  .max = 1e12},
        c.cap_bytes);
}

}  // namespace pg
