// The op table on CUDA kernels: picks the launcher of the types at hand and gives it working memory.
// One file per family of ops implements this class: cuda_ops_linear.cpp, cuda_ops_embedding.cpp, ...
#pragma once
#include "src/device/cuda/gpu_runtime.h"
#include "src/device/cuda/gpu_scratch.h"

namespace pg {

class CudaOps final : public Ops {
 public:
  CudaOps(GpuRuntime& runtime, DType compute)
      : runtime_(runtime), compute_(compute), scratch_(runtime) {}

  uint64_t scratch_growths() const { return scratch_.growths(); }

#include "src/device/op_overrides.inc"
  void linear_of_parts(Out y, In x, std::span<const In> ws, int64_t rows, int64_t in,
                       int64_t out) override;
  void linear_dx_of_parts(Out dx, In dy, std::span<const In> ws, int64_t rows, int64_t in,
                          int64_t out) override;
  void linear_dw_of_parts(std::span<const Out> dws, In dy, In x, int64_t rows, int64_t in,
                          int64_t out) override;
  void newton_schulz_of_batches(std::span<const MatricesOut> us,
                                std::span<const NewtonSchulzCoefficients> steps,
                                NewtonSchulzStart start) override;

 private:
  kernels::Stream stream() const { return runtime_.stream(); }
  void multiply(Out y, const GpuMatrix& a, const GpuMatrix& b, In addend, int64_t rows,
                int64_t cols, int64_t inner);
  // As many products as parts, whose y lie y_part elements apart.
  void multiply_parts(Out y, int64_t y_part, const GpuMatrix& a, const GpuMatrix& b, int64_t parts,
                      int64_t rows, int64_t cols, int64_t inner);
  // A library's attention, where there is one and it computes such shapes; else null.
  GpuAttention* library_attention(const AttentionShape& shape, bool is_backward);
  // False where the library has no plan for the shape.
  bool attention_by_library(GpuAttention& library, Out y, Out lse, In q, In k, In v,
                            const AttentionShape& shape);
  void attention_backward_by_library(GpuAttention& library, Out dq, Out dk, Out dv, In dy, In y,
                                     In lse, In q, In k, In v, const AttentionShape& shape);
  bool multiply_rows(Out y, In x, std::span<const In> ws, bool is_transposed, int64_t rows,
                     int64_t cols, int64_t inner);

  GpuRuntime& runtime_;
  DType compute_;
  GpuScratch scratch_;
};

}  // namespace pg
