// Floating-point operations of the ops that multiply matrices: what a plan's speed and a benchmark's
// are counted by. Memory bounds the other ops.
#pragma once
#include <cstdint>

#include "src/device/ops.h"

namespace pg {

inline double product_flops(int64_t rows, int64_t in, int64_t out) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
}

// Two products over the causal half of T x T per head.
inline double attention_flops(const AttentionShape& s) {
  double pairs = 0.5 * static_cast<double>(s.tokens) * static_cast<double>(s.tokens + 1);
  // <train_gpt>
  // Packed rows: as if all sequences were the longest, for what they are is known at run time alone.
  if (s.packed.starts) {
    pairs = 0.5 * static_cast<double>(s.tokens) * static_cast<double>(s.packed.longest + 1);
  }
  // </train_gpt>
  return 4.0 * static_cast<double>(s.batch * s.heads * s.head_dim) * pairs;
}

// Five products where the forward pass has two.
inline double attention_backward_flops(const AttentionShape& s) { return 2.5 * attention_flops(s); }

}  // namespace pg
