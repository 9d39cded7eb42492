// Quantised weights, as an artifact stores them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/coder/weight_source.h"
#include "quant/format/low_rank.h"
#include "src/base/hash.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// Columns [begin, begin + count) on a finer grid of their own: codes up to +-127 and their own row
// scales (AWQ-lite, formulas.md 4.2 I).
struct FineColumns {
  int64_t begin = 0, count = 0;       // count 0: none
  std::vector<uint16_t> scales = {};  // [rows] fp16
};

// One parameter as stored. bits 2 to 8: integer codes; the scale of weight (r, c) is its
// row's in fp16 or, in a factored grid, scale * 2^(row_offsets[r]/4) * 2^(col_offsets[c]/4). bits
// 16: fp16 values.
struct QuantTensor {
  std::string name;
  int64_t rows = 0, cols = 0;
  int bits = 16;
  bool is_factored = false;
  std::vector<int8_t> codes = {};  // [rows, cols]; empty for bits = 16
  std::vector<uint16_t> halves =
      {};           // fp16: [rows] scales, or [rows, cols] values; empty if factored
  float scale = 0;  // when factored
  std::vector<int8_t> row_offsets = {};  // [rows] when factored, in quarter octaves
  std::vector<int8_t> col_offsets = {};  // [cols] when factored
  FineColumns fine = {};
  LowRank low_rank = {};  // added to the dequantised values; rank 0: none
};

struct QuantModel {
  ModelConfig config;
  Sha256 tokenizer_sha256 = {};
  Coder coder = Coder::kOwn;         // of the stream
  std::string scoring_keys;          // how it is scored: eval/scoring_keys.h
  std::vector<QuantTensor> tensors;  // in list_params order
};

// The fp32 values that the codes stand for.
HostTensor dequantize(const QuantTensor& tensor, const ParamSpec& spec);

}  // namespace pg
