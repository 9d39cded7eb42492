// Matrix products with one value on every processor.
//
// Each element of the result is one chain: from 0, a fused multiply-add per k in ascending order,
// all in f32; then c + chain where the product accumulates, then one rounding where the result is
// bf16. So its bits depend on nothing but its row of A, its column of B and c: not on the rows or
// columns computed with it, threads, strides, cache blocks or the width of vectors.
#pragma once
#include <cstdint>

#include "src/device/exact/exact_kernels.h"
#include "src/device/tensor_view.h"

namespace pg {

// C[m, n] = A[m, k] B[k, n], or C += A B; sums accumulate in f32.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;  // A is stored [k, m]
  bool transpose_b = false;  // B is stored [n, k]
  DType operands = DType::kF32;
  DType result = DType::kF32;
  bool accumulate = false;
  // Elements from one stored row to the next; 0 stands for contiguous rows, which are the fastest.
  int64_t lda = 0, ldb = 0, ldc = 0;

  int64_t stride_a() const { return lda != 0 ? lda : transpose_a ? m : k; }
  int64_t stride_b() const { return ldb != 0 ? ldb : transpose_b ? k : n; }
  int64_t stride_c() const { return ldc != 0 ? ldc : n; }
  bool operator==(const Product&) const = default;
};

// B as the kernels read it: panels of as many columns as a tile has.
struct ExactPanels {
  const float* data;
  int64_t row_stride, panel_stride;
};

// Computes on the calling thread. B is packed first, into panels that products with the same B
// share; scratch is the caller's, aligned to 64 bytes.
class ExactProduct {
 public:
  explicit ExactProduct(ExactIsa isa) : kernel_(&exact_kernel(isa)) {}

  int64_t panels(const Product& product) const {
    return (product.n + kernel_->cols - 1) / kernel_->cols;
  }
  // Floats of all panels of B.
  int64_t panel_floats(const Product& product) const { return kernel_->cols * product.k; }
  int64_t packed_floats(const Product& product) const {
    return panels(product) * panel_floats(product);
  }
  // Packs panels [begin, end) of B into their places in `packed`.
  void pack(const Product& product, const void* b, int64_t begin, int64_t end, float* packed) const;
  ExactPanels packed(const Product& product, const float* data) const {
    return {data, kernel_->cols, panel_floats(product)};
  }
  // Whether B may stay where it is. Packing pays when many rows of A pass over it.
  bool reads_b_in_place(const Product& product) const {
    return product.operands == DType::kF32 && !product.transpose_b &&
           product.n % kernel_->cols == 0;
  }
  ExactPanels in_place(const Product& product, const void* b) const {
    return {static_cast<const float*>(b), product.stride_b(), kernel_->cols};
  }
  // Floats that run() works in.
  int64_t scratch_floats(const Product& product) const;
  void run(const Product& product, const void* a, const ExactPanels& b, void* c,
           float* scratch) const;

 private:
  void run_tile(const Product& product, const float* a, const float* panel, int64_t ldb, void* c,
                int64_t row, int64_t column, float* sums) const;

  const ExactKernel* kernel_;
};

}  // namespace pg
