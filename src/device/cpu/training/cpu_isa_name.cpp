// The instructions of products, as people name them.
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

const char* CpuMatmul::isa_name(DType operands) const {
  if (operands == DType::kBF16 && library_bf16_) {
    return onednn_has(OnednnIsa::kAmx) ? "AMX bf16" : "AVX-512 bf16";
  }
  switch (isa_) {
    case ExactIsa::kAvx512:
      return operands == DType::kBF16 ? "AVX-512 on widened bf16" : "AVX-512 f32";
    case ExactIsa::kAvx2:
      return operands == DType::kBF16 ? "AVX2 on widened bf16" : "AVX2 f32";
    default:
      return "generic";
  }
}

const char* CpuOps::isa_name() const { return matmul_->isa_name(compute_); }

}  // namespace pg
