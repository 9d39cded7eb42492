// The linear maps.
#include <algorithm>

#include "src/device/cpu/cpu_linear_dw.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

// As Product has it: 0 where the rows are contiguous.
template <class Tensor>
int64_t product_stride(const Tensor& t, int64_t cols) {
  return t.stride == cols ? 0 : t.stride;
}

}  // namespace

// With an addend a chunk's product stays in f32, in L2, until the addend meets it: the sum is
// rounded once, and the product needs no slower form that accumulates.
void CpuOps::linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) {
  if (!y) return;
  PG_CHECK(x.dtype == w.dtype, "activations and weights have one type");
  Product product = {.m = rows,
                     .n = out,
                     .k = in,
                     .transpose_b = true,
                     .operands = x.dtype,
                     .result = y.dtype,
                     .accumulate = y.accumulate,
                     .ldc = product_stride(y, out)};
  if (!addend) {
    matmul_->run_parallel(product, x.data, w.data, y.data);
    return;
  }
  PG_CHECK(addend.dtype == y.dtype, "the addend has the type of y");
  product.result = DType::kF32;
  product.accumulate = false;
  product.ldc = 0;
  const int64_t stride = row_stride(y, out);
  const SharedB b = matmul_->share_b(product, w.data);
  cpu::with_activation_type(y.dtype, [&]<class T>() {
    const T* const terms = addend.as<T>();
    parallel_ranges(rows, matmul_->chunk_rows(product), [&](int64_t begin, int64_t end) {
      float* sums =
          cpu::thread_floats(*scratch_, thread_index(), cpu::kSlotRows, (end - begin) * out);
      Product chunk = product;
      chunk.m = end - begin;
      matmul_->run_rows(chunk, 0, chunk.m, cpu::advance(x.data, begin * in, x.dtype), b, sums);
      for (int64_t row = begin; row < end; ++row, sums += out) {
        const T* const term = terms + row * out;
        cpu::write<T>(y, row * stride, out,
                      [term, sums](int64_t i) { return static_cast<float>(term[i]) + sums[i]; });
      }
    });
  });
}

void CpuOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  if (!dx) return;
  PG_CHECK(dy.dtype == w.dtype, "gradients and weights have one type");
  matmul_->run_parallel({.m = rows,
                         .n = in,
                         .k = out,
                         .operands = dy.dtype,
                         .result = dx.dtype,
                         .accumulate = dx.accumulate,
                         .lda = product_stride(dy, out)},
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
                           .lda = product_stride(dy, out)},
                          cpu::advance(dy.data, row * row_stride(dy, out), dy.dtype),
                          cpu::advance(x.data, row * in, x.dtype), dw.data);
  }
}

}  // namespace pg
