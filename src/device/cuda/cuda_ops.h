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

#include "src/device/op_overrides.inc"

 private:
  kernels::Stream stream() const { return runtime_.stream(); }
  void multiply(Out y, const GpuMatrix& a, const GpuMatrix& b, In addend, int64_t rows,
                int64_t cols, int64_t inner);

  GpuRuntime& runtime_;
  DType compute_;
  GpuScratch scratch_;
};

}  // namespace pg
