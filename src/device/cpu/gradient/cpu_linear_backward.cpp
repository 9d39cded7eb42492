// The gradients of the linear map.
#include <algorithm>

#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_linear_dw.h"

namespace pg {

void CpuOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  if (!dx) return;
  PG_CHECK(dy.dtype == w.dtype, "gradients and weights have one type");
  matmul_->run_parallel({.m = rows,
                         .n = in,
                         .k = out,
                         .operands = dy.dtype,
                         .result = dx.dtype,
                         .accumulate = dx.accumulate,
                         .lda = cpu::product_stride(dy, out)},
                        dy.data, w.data, dx.data);
}

// dw is the sum, in order, of products over segments of rows: the cache keeps a segment, and a sum
// of chains rounds less than one long chain. Segments depend on nothing but the number of rows.
void CpuOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  if (!dw) return;
  PG_CHECK(dy.dtype == x.dtype, "gradients and activations have one type");
  if (tiles_ != nullptr && has_dw_tiles(*tiles_, dw, dy, rows, in, out)) {
    linear_dw_by_tiles(*tiles_, *scratch_, dw, dy, x, rows, in, out);
    return;
  }
  const int64_t segment = matmul_->segment_rows(dy.dtype);
  for (int64_t row = 0; row < rows; row += segment) {
    matmul_->run_parallel({.m = out,
                           .n = in,
                           .k = std::min(segment, rows - row),
                           .transpose_a = true,
                           .operands = dy.dtype,
                           .result = dw.dtype,
                           .accumulate = dw.accumulate || row > 0,
                           .lda = cpu::product_stride(dy, out)},
                          cpu::advance(dy.data, row * row_stride(dy, out), dy.dtype),
                          cpu::advance(x.data, row * in, x.dtype), dw.data);
  }
}

}  // namespace pg
