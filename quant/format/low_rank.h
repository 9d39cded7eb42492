// A product of two thin integer matrices that is added to a dequantised matrix (made by lqer.h).
// Apart from its maker because a decoder needs only this.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

// Of a matrix [rows, cols]: value += sum_k (a code * a_scale) (b code * its group's scale).
struct LowRank {
  int rank = 0;                // 0: none
  int group = 0;               // b codes that share a scale, counted along the flat [rank, cols]
  std::vector<int8_t> a = {};  // [rows, rank] 2 bits: -2..1
  uint16_t a_scale = 0;        // fp16
  std::vector<int8_t> b = {};  // [rank, cols] 4 bits: -8..7
  std::vector<uint16_t> b_scales = {};  // [ceil(rank * cols / group)] fp16
};

// The same bits on every machine.
void add_low_rank(const LowRank& low_rank, int64_t rows, int64_t cols,
                  std::span<float> values);  // [rows, cols]

}  // namespace pg
