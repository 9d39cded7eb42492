// The gradient of matrices whose rows are scaled, and of the scales.
#include "src/device/cpu/cpu_matrix_rows.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::scale_rows_backward(Out dx, Out ds, In x, In s, const MatrixBatch& shape,
                                 int64_t s_stride) {
  const auto* const xs = x.as<float>();
  const auto* const factors = s.as<float>();
  auto* const gradients = dx.as<float>();
  for_each_matrix_row(shape, [&](int64_t matrix, int64_t row) {
    const int64_t at = matrix * shape.stride + row * shape.cols;
    const float factor = factors[matrix * s_stride + row];
    const float* const values = xs + at;
    float* const gradient = gradients + at;
    if (ds) {
      ds.as<float>()[matrix * s_stride + row] = sum_products(
          shape.cols, [=](int64_t i) { return gradient[i]; }, [=](int64_t i) { return values[i]; });
    }
#pragma omp simd
    for (int64_t i = 0; i < shape.cols; ++i) gradient[i] *= factor;
  });
}
}  // namespace pg
