// Linear maps: products of the runtime.
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) {
  if (rows == 0) return;
  GpuProduct product;
  product.rows = rows;
  product.cols = out;
  product.inner = in;
  product.a = {x.data, x.dtype, in};
  product.b = {w.data, w.dtype, in, true};
  product.d = y.data;
  product.d_type = y.dtype;
  product.d_stride = row_stride(y, out);
  if (addend && y.accumulate) {
    // Two terms besides the product, and one rounding: the sum is made in f32 first.
    PG_CHECK(row_stride(y, out) == out, "a view that is added to takes no addend");
    const Out sum = {scratch_.of<float>(0, rows * out), DType::kF32};
    const In made = {sum.data, sum.dtype};
    cast(sum, addend, rows * out);
    product.c = {sum.data, sum.dtype, out};
    product.d = sum.data;
    product.d_type = sum.dtype;
    product.d_stride = out;
    product.beta = 1;
    runtime_.multiply(product);
    cast(y, made, rows * out);
    return;
  }
  if (addend || y.accumulate) {
    product.beta = 1;
    product.c = addend ? GpuMatrix{addend.data, addend.dtype, row_stride(addend, out)}
                       : GpuMatrix{y.data, y.dtype, row_stride(y, out)};
  }
  runtime_.multiply(product);
}

void CudaOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  if (rows == 0) return;
  GpuProduct product;
  product.rows = rows;
  product.cols = in;
  product.inner = out;
  product.a = {dy.data, dy.dtype, row_stride(dy, out)};
  product.b = {w.data, w.dtype, in};
  product.c = {dx.data, dx.dtype, in};
  product.d = dx.data;
  product.d_type = dx.dtype;
  product.d_stride = in;
  product.beta = dx.accumulate ? 1.0f : 0.0f;
  runtime_.multiply(product);
}

void CudaOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  GpuProduct product;
  product.rows = out;
  product.cols = in;
  product.inner = rows;
  product.a = {dy.data, dy.dtype, row_stride(dy, out), true};
  product.b = {x.data, x.dtype, in};
  product.c = {dw.data, dw.dtype, in};
  product.d = dw.data;
  product.d_type = dw.dtype;
  product.d_stride = in;
  product.beta = dw.accumulate ? 1.0f : 0.0f;
  runtime_.multiply(product);
}

}  // namespace pg
