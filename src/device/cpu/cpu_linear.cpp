// The linear map.
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

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
                     .ldc = cpu::product_stride(y, out)};
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

}  // namespace pg
