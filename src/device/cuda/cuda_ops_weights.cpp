// Compute copies and averages of parameters.
#include "kernels/cast.h"
#include "kernels/scale_rows.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

kernels::ScaledMatrices scaled_matrices(const MatrixBatch& shape, int64_t s_stride) {
  return {shape.count, shape.rows, shape.cols, shape.stride, s_stride};
}

}  // namespace

void CudaOps::cast(Out y, In x, int64_t count) {
  with_type(y.dtype, [&]<class To>(To) {
    with_type(x.dtype, [&]<class From>(From) {
      kernels::cast<To, From>(dest<To>(y), x.as<From>(), count, stream());
    });
  });
}

void CudaOps::lerp(Out average, In x, In decay, int64_t count) {
  kernels::lerp(average.as<float>(), x.as<float>(), decay.as<float>(), count, stream());
}

void CudaOps::scale_rows(Out y, In x, In s, const MatrixBatch& shape, int64_t s_stride) {
  with_type(y.dtype, [&]<class T>(T) {
    kernels::scale_rows<T>(dest<T>(y), x.as<float>(), s.as<float>(),
                           scaled_matrices(shape, s_stride), stream());
  });
}

void CudaOps::scale_rows_backward(Out dx, Out ds, In x, In s, const MatrixBatch& shape,
                                  int64_t s_stride) {
  kernels::scale_rows_backward(dx.as<float>(), ds.as<float>(), x.as<float>(), s.as<float>(),
                               scaled_matrices(shape, s_stride), stream());
}

}  // namespace pg
