// What the op families of CpuOps share: the cache of products and the scratch memory.
#include "src/device/cpu/cpu_ops.h"

#include "src/base/check.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_scratch.h"

namespace pg {

CpuOps::CpuOps(DType compute)
    : compute_(compute),
      matmul_(std::make_unique<CpuMatmul>(kMaxCpuThreads)),
      scratch_(std::make_unique<CpuScratch>(kMaxCpuThreads)) {
  PG_CHECK(compute == DType::kBF16 || compute == DType::kF32, "the cpu computes in bf16 or f32");
}
CpuOps::~CpuOps() = default;

const char* CpuOps::isa_name() const { return matmul_->isa_name(compute_); }

}  // namespace pg
