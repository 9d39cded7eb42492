// The linear map.
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

int64_t CpuOps::packed_bytes(DType w, int64_t in, int64_t out) const {
  return matmul_->packed_bytes({.n = out, .k = in, .transpose_b = true, .operands = w});
}
void CpuOps::pack(void* packed, In w, int64_t in, int64_t out) {
  matmul_->pack({.n = out, .k = in, .transpose_b = true, .operands = w.dtype}, w.data, packed);
}

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
  const auto share_w = [&] {
    return w.packed ? matmul_->hold(w.data) : matmul_->share_b(product, w.data);
  };
  if (!addend) {
    matmul_->run_parallel(product, x.data, share_w(), y.data);
    return;
  }
  PG_CHECK(addend.dtype == y.dtype, "the addend has the type of y");
  product.result = DType::kF32;
  product.accumulate = false;
  product.ldc = 0;
  const int64_t stride = row_stride(y, out);
  const SharedB b = share_w();
  cpu::with_activation_type(y.dtype, [&]<class T>() {
    const T* const terms = addend.as<T>();
    const auto add = [&](int64_t begin, int64_t end, const float* sums) {
      for (int64_t row = begin; row < end; ++row, sums += out) {
        const T* const term = terms + row * out;
        cpu::write<T>(y, row * stride, out,
                      [term, sums](int64_t i) { return static_cast<float>(term[i]) + sums[i]; });
      }
    };
    if (matmul_->has_few_rows(product, b)) {
      float* const sums = cpu::shared_floats(*scratch_, cpu::kSlotRows, rows * out);
      matmul_->run_parallel(product, x.data, b, sums);
      add(0, rows, sums);
      return;
    }
    parallel_ranges(rows, matmul_->chunk_rows(product), [&](int64_t begin, int64_t end) {
      float* const sums =
          cpu::thread_floats(*scratch_, thread_index(), cpu::kSlotRows, (end - begin) * out);
      Product chunk = product;
      chunk.m = end - begin;
      matmul_->run_rows(chunk, 0, chunk.m, cpu::advance(x.data, begin * in, x.dtype), b, sums);
      add(begin, end, sums);
    });
  });
}

}  // namespace pg
