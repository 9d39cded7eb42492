// Matrices whose rows are scaled: compute copies.
#include "src/device/cpu/cpu_matrix_rows.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::scale_rows(Out y, In x, In s, const MatrixBatch& shape, int64_t s_stride) {
  const auto* const xs = x.as<float>();
  const auto* const factors = s.as<float>();
  with_activation_type(y.dtype, [&]<class T>() {
    for_each_matrix_row(shape, [&](int64_t matrix, int64_t row) {
      const int64_t at = matrix * shape.stride + row * shape.cols;
      const float factor = factors[matrix * s_stride + row];
      const float* const from = xs + at;
      write<T>(y, at, shape.cols, [=](int64_t i) { return factor * from[i]; });
    });
  });
}
}  // namespace pg
