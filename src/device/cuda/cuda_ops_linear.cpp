// Linear maps: products of the runtime.
#include <algorithm>
#include <optional>
#include <span>

#include "kernels/product_rows.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

constexpr int64_t kCachedElements = int64_t{4} << 20;  // 16 MiB of f32; an H100's L2 has 50
constexpr int64_t kFewestRows = 2048;                  // fewer would leave multiprocessors idle

// By how many elements each lies behind the one before; nothing where that differs.
template <class Tensor>
std::optional<int64_t> elements_apart(std::span<const Tensor> parts) {
  const auto gap = [&](size_t i) {
    return static_cast<const uint8_t*>(parts[i].data) -
           static_cast<const uint8_t*>(parts[i - 1].data);
  };
  const auto bytes = static_cast<int64_t>(dtype_bytes(parts[0].dtype));
  for (size_t i = 2; i < parts.size(); ++i) {
    if (gap(i) != gap(1)) return {};
  }
  return parts.size() == 1 ? 0 : gap(1) / bytes;
}

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

// One batch of the library. What y adds up in bf16 comes from f32 products that lie behind each other,
// as its rows do.
void CudaOps::multiply_parts(Out y, int64_t y_part, const GpuMatrix& a, const GpuMatrix& b,
                             int64_t parts, int64_t rows, int64_t cols, int64_t inner) {
  if (rows == 0 || cols == 0) return;
  GpuProduct product;
  product.rows = rows;
  product.cols = cols;
  product.inner = inner;
  product.batch = parts;
  product.a = a;
  product.b = b;
  if (!y.accumulate || y.dtype == DType::kF32) {
    product.d = y.data;
    product.d_type = y.dtype;
    product.d_stride = row_stride(y, cols);
    product.d_batch_stride = y_part;
    product.beta = y.accumulate ? 1.0f : 0.0f;
    product.c = {y.data, y.dtype, product.d_stride, false, y_part};
    runtime_.multiply(product);
    return;
  }
  float* const sums = scratch_.of<float>(0, parts * rows * cols);
  product.d = sums;
  product.d_type = DType::kF32;
  product.d_stride = cols;
  product.d_batch_stride = rows * cols;
  runtime_.multiply(product);
  with_type(y.dtype, [&]<class T>(T) {
    kernels::add_product<T>({y.as<T>(), row_stride(y, cols), y.accumulate}, sums, {nullptr, cols},
                            parts * rows, cols, stream());
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

// y = x w, or x wT, of each part; false where the weights do not lie equally apart.
bool CudaOps::multiply_rows(Out y, In x, std::span<const In> ws, bool is_transposed, int64_t rows,
                            int64_t cols, int64_t inner) {
  const std::optional<int64_t> w_part = elements_apart(ws);
  if (!w_part) return false;
  const int64_t count = rows / std::ssize(ws), x_stride = row_stride(x, inner);
  multiply_parts(y, count * row_stride(y, cols),
                 {x.data, x.dtype, x_stride, false, count * x_stride},
                 {ws[0].data, ws[0].dtype, is_transposed ? inner : cols, is_transposed, *w_part},
                 std::ssize(ws), count, cols, inner);
  return true;
}

void CudaOps::linear_of_parts(Out y, In x, std::span<const In> ws, int64_t rows, int64_t in,
                              int64_t out) {
  if (multiply_rows(y, x, ws, /*is_transposed=*/true, rows, out, in)) return;
  Ops::linear_of_parts(y, x, ws, rows, in, out);
}

void CudaOps::linear_dx_of_parts(Out dx, In dy, std::span<const In> ws, int64_t rows, int64_t in,
                                 int64_t out) {
  if (multiply_rows(dx, dy, ws, /*is_transposed=*/false, rows, in, out)) return;
  Ops::linear_dx_of_parts(dx, dy, ws, rows, in, out);
}

void CudaOps::linear_dw_of_parts(std::span<const Out> dws, In dy, In x, int64_t rows, int64_t in,
                                 int64_t out) {
  const std::optional<int64_t> dw_part = elements_apart(dws);
  if (!dw_part || dws[0].dtype != DType::kF32) {
    return Ops::linear_dw_of_parts(dws, dy, x, rows, in, out);
  }
  const int64_t count = rows / std::ssize(dws);
  const int64_t dy_stride = row_stride(dy, out), x_stride = row_stride(x, in);
  multiply_parts(dws[0], *dw_part, {dy.data, dy.dtype, dy_stride, true, count * dy_stride},
                 {x.data, x.dtype, x_stride, false, count * x_stride}, std::ssize(dws), out, in,
                 count);
}

}  // namespace pg
