// Linear maps: products of the runtime.
#include <algorithm>

#include "kernels/product_rows.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

constexpr int64_t kCachedElements = int64_t{4} << 20;  // 16 MiB of f32; an H100's L2 has 50
constexpr int64_t kFewestRows = 2048;                  // fewer would leave multiprocessors idle

}  // namespace

// y[rows, cols] = addend + a b. cuBLASLt rounds a product to y's type before it adds, so a sum in
// bf16 is made from an f32 product.
void CudaOps::multiply(Out y, const GpuMatrix& a, const GpuMatrix& b, In addend, int64_t rows,
                       int64_t cols, int64_t inner) {
  if (rows == 0 || cols == 0) return;
  GpuProduct product;
  product.rows = rows;
  product.cols = cols;
  product.inner = inner;
  product.a = a;
  product.b = b;
  product.d = y.data;
  product.d_type = y.dtype;
  product.d_stride = row_stride(y, cols);
  if (!addend && (!y.accumulate || y.dtype == DType::kF32)) {
    product.beta = y.accumulate ? 1.0f : 0.0f;
    product.c = {y.data, y.dtype, product.d_stride};
    runtime_.multiply(product);
    return;
  }
  // Some rows at a time, so that the f32 product is read again from the cache.
  const int64_t some = std::min(rows, std::max(kCachedElements / cols, kFewestRows));
  float* const sums = scratch_.of<float>(0, some * cols);
  product.d = sums;
  product.d_type = DType::kF32;
  product.d_stride = cols;
  with_type(y.dtype, [&]<class T>(T) {
    const int64_t y_stride = row_stride(y, cols), addend_stride = row_stride(addend, cols);
    const T* const added = optional_as<T>(addend);
    for (int64_t first = 0; first < rows; first += some) {
      product.rows = std::min(some, rows - first);
      product.a.data =
          static_cast<const uint8_t*>(a.data) +
          static_cast<size_t>(first * (a.is_transposed ? 1 : a.stride)) * dtype_bytes(a.dtype);
      runtime_.multiply(product);
      kernels::add_product<T>(
          {y.as<T>() + first * y_stride, y_stride, y.accumulate}, sums,
          {added != nullptr ? added + first * addend_stride : nullptr, addend_stride}, product.rows,
          cols, stream());
    }
  });
}

void CudaOps::linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) {
  multiply(y, {x.data, x.dtype, in}, {w.data, w.dtype, in, true}, addend, rows, out, in);
}

void CudaOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  multiply(dx, {dy.data, dy.dtype, row_stride(dy, out)}, {w.data, w.dtype, in}, {}, rows, in, out);
}

void CudaOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  multiply(dw, {dy.data, dy.dtype, row_stride(dy, out), true}, {x.data, x.dtype, in}, {}, out, in,
           rows);
}

}  // namespace pg
