// What a matrix of codes is coded with beside its codes: its mean magnitude, how far rows and
// columns differ in level, and rows that nearly repeat another. Internal to the weight coder.
#pragma once
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "quant/coder/weight_coder.h"

namespace pg {

struct WeightLevels {
  int mean_log = 0;    // log2(256 mean |residual|) in 1/16, 0 to 255
  int row_weight = 0;  // log2 of how many columns' worth of evidence a row's prior level counts as
  int col_weight = 0;  // likewise for columns, in rows
  std::vector<int32_t> base_row;  // [rows] the earlier row that is subtracted, or -1

  bool operator==(const WeightLevels&) const = default;
};

constexpr int kMaxWeightLog = 15;

// The decoder repeats this on what it decoded, so that no stream with other choices passes. The
// same on every machine.
WeightLevels choose_levels(const CodeShape& shape, const int8_t* codes);

// base_row of the next row, if it is to have one: the last row that had one, else the row before.
inline int32_t next_base_row(std::span<const int32_t> base_rows_before, int32_t last_with_base) {
  return last_with_base >= 0 ? last_with_base : static_cast<int32_t>(base_rows_before.size()) - 1;
}

// log2(x) in 1/64, within 1/64 of the truth; x = 0 gives a large negative number.
inline int32_t log2_fixed(float x) {
  const int32_t bits = static_cast<int32_t>(std::bit_cast<uint32_t>(x) >> 17);
  const int32_t m = bits & 63;
  return bits - (127 << 6) + (m * (64 - m) * 11 >> 11);
}

}  // namespace pg
