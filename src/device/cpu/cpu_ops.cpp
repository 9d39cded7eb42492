// What the op families of CpuOps share: the cache of products and the scratch memory.
#include "src/device/cpu/cpu_ops.h"

#include "src/base/check.h"
#include "src/device/cpu/cpu_attention.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_scratch.h"
#include "src/device/cpu/cpu_tile_kernels.h"

namespace pg {
namespace {

// The widest that both the processor and ONEDNN_MAX_CPU_ISA allow, as for products. AMX multiplies
// bf16 eight times faster than vectors do, and tile kernels have none.
const TileKernel* widest_tiles(DType compute) {
  const auto has = [](OnednnIsa library, TileIsa isa) {
    return onednn_has(library) && has_tile_isa(isa);
  };
  if (compute == DType::kBF16) {
    if (onednn_has(OnednnIsa::kAmx)) return nullptr;
    if (has(OnednnIsa::kAvx512Bf16, TileIsa::kAvx512Bf16))
      return &tile_kernel(TileIsa::kAvx512Bf16);
  }
  if (has(OnednnIsa::kAvx512, TileIsa::kAvx512)) return &tile_kernel(TileIsa::kAvx512);
  if (has(OnednnIsa::kAvx2, TileIsa::kAvx2)) return &tile_kernel(TileIsa::kAvx2);
  return &tile_kernel(TileIsa::kGeneric);
}

}  // namespace

CpuOps::CpuOps(DType compute)
    : compute_(compute),
      matmul_(std::make_unique<CpuMatmul>(kMaxCpuThreads)),
      tiles_(widest_tiles(compute)),
      scratch_(std::make_unique<CpuScratch>(kMaxCpuThreads)) {
  PG_CHECK(compute == DType::kBF16 || compute == DType::kF32, "the cpu computes in bf16 or f32");
}
CpuOps::~CpuOps() = default;

void CpuOps::attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) {
  PG_CHECK(shape.scale > 0.0f, "the largest score must stay the largest when it is scaled");
  if (tiles_ != nullptr) {
    attention_by_tiles(*tiles_, *scratch_, y, lse, q, k, v, shape);
    // <train_gpt>
  } else if (shape.packed.starts) {  // short sequences would leave most of a product's tile empty
    attention_by_tiles(tile_kernel(TileIsa::kAvx512Bf16), *scratch_, y, lse, q, k, v, shape);
    // </train_gpt>
  } else if (shape.first > 0) {  // as many products as keys would be mostly padding
    attention_by_tiles(tile_kernel(TileIsa::kAvx512Bf16), *scratch_, y, lse, q, k, v, shape);
  } else {
    attention_by_products(*matmul_, *scratch_, y, lse, q, k, v, shape);
  }
}

}  // namespace pg
