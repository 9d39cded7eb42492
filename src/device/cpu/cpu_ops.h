// The op table for processors: cpu_matmul.h for products, cpu_attention.h, vectorised loops for the
// rest. One file per family of ops implements this class: cpu_linear.cpp, cpu_embedding.cpp,
// cpu_elementwise.cpp, cpu_norm.cpp, cpu_mix_rmsnorm.cpp, cpu_loss.cpp, cpu_optimizer.cpp,
// cpu_newton_schulz.cpp.
//
// Determinism: work is cut into chunks by shape alone, each chunk is computed by one thread,
// partial sums are combined in chunk order. Scratch is allocated at first use and kept, so a
// repeated step allocates nothing.
#pragma once
#include <memory>

#include "src/device/ops.h"

namespace pg {

class CpuMatmul;    // cpu_matmul.h
class CpuScratch;   // one growing buffer per thread, cpu_scratch.h
struct TileKernel;  // cpu_tile_kernels.h

class CpuOps final : public Ops {
 public:
  explicit CpuOps(DType compute);
  ~CpuOps() override;

  // The instructions of products in the compute type, as people name them.
  const char* isa_name() const;

#include "src/device/op_overrides.inc"
  int64_t packed_bytes(DType w, int64_t in, int64_t out) const override;
  void pack(void* packed, In w, int64_t in, int64_t out) override;

 private:
  DType compute_;
  std::unique_ptr<CpuMatmul> matmul_;
  const TileKernel* tiles_;  // of attention and dw; null: the library's products
  std::unique_ptr<CpuScratch> scratch_;
};

}  // namespace pg
