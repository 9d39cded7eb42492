// The linear maps.
#include <algorithm>

#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

void CpuOps::linear(Out y, In x, In w, int64_t rows, int64_t in, int64_t out) {
  if (!y) return;
  PG_CHECK(x.dtype == w.dtype, "activations and weights have one type");
  matmul_->run_parallel({.m = rows,
                         .n = out,
                         .k = in,
                         .transpose_b = true,
                         .operands = x.dtype,
                         .result = y.dtype,
                         .accumulate = y.accumulate},
                        x.data, w.data, y.data);
}

void CpuOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  if (!dx) return;
  PG_CHECK(dy.dtype == w.dtype, "gradients and weights have one type");
  matmul_->run_parallel({.m = rows,
                         .n = in,
                         .k = out,
                         .operands = dy.dtype,
                         .result = dx.dtype,
                         .accumulate = dx.accumulate},
                        dy.data, w.data, dx.data);
}

// dw is the sum, in order, of products over segments of rows: the cache keeps a segment, and a sum
// of chains rounds less than one long chain. Segments depend on nothing but the number of rows.
void CpuOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  if (!dw) return;
  PG_CHECK(dy.dtype == x.dtype, "gradients and activations have one type");
  const int64_t segment = matmul_->segment_rows(dy.dtype);
  for (int64_t row = 0; row < rows; row += segment) {
    matmul_->run_parallel({.m = out,
                           .n = in,
                           .k = std::min(segment, rows - row),
                           .transpose_a = true,
                           .operands = dy.dtype,
                           .result = dw.dtype,
                           .accumulate = dw.accumulate || row > 0},
                          cpu::advance(dy.data, row * out, dy.dtype),
                          cpu::advance(x.data, row * in, x.dtype), dw.data);
  }
}

}  // namespace pg
