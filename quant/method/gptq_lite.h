// "GPTQ-lite" as record 2026-03-22 published it: round-to-nearest with a search over clip
// percentiles, no Hessian (formulas.md 4.2 C); at 8 bits one fixed percentile (1.2 A).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

struct GptqLiteOptions {
  int bits = 6;
  double floor_factor = 1;  // times the published smallest scale, 1 / R: no row clips below 1
  bool per_row = true;  // best percentile per row; false: one per matrix, as the records' code does
};

struct QuantizedRows {
  std::vector<int8_t> codes;     // [rows, cols], in [-R, R] with R = 2^(bits-1) - 1
  std::vector<uint16_t> scales;  // [rows] fp16; infinity where a row is too large for fp16
};

// Values must be finite. A row whose scale rounds to zero in fp16 gets codes 0.
QuantizedRows quantize_gptq_lite(std::span<const float> values, int64_t rows, int64_t cols,
                                 const GptqLiteOptions& options);

}  // namespace pg
